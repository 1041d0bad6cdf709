import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from jobs.datasets.manifests import build
from jobs.manifest import app
from pipeline.errors import InvalidInput, InvalidManifest, InvalidPrompt
from pipeline.input.manifest import VideoTask, read_manifest
from pipeline.input.prompts import load_prompts

SIZE = (6, 8)


def mask(*ids: int) -> Image.Image:
    labels = np.zeros(SIZE, np.uint8)
    labels[1:3, : len(ids)] = ids
    return Image.fromarray(labels)


def sequence(root: Path, name: str, masks: dict[str, Image.Image], *, frames: int = 3, level: str = "480p") -> None:
    pictures, labels = root / "JPEGImages" / level / name, root / "Annotations" / level / name
    pictures.mkdir(parents=True)
    labels.mkdir(parents=True)
    for index in range(frames):
        (pictures / f"frame{index}.jpg").write_bytes(b"")
    for stem, image in masks.items():
        image.save(labels / f"{stem}.png")


def built(layout: str, root: Path, **options: object) -> list[VideoTask]:
    output = str(root / "videos.jsonl")
    number = build(layout, str(root), output, **options)  # type: ignore[arg-type]
    tasks = read_manifest(output)
    assert number == len(tasks)
    return tasks


def prompts(task: VideoTask) -> list[tuple[int, str, tuple[int, ...] | None]]:
    return [(source.frame_index, source.mask_uri.rpartition("/")[2], source.object_ids) for source in task.prompts]


def test_davis_prompts_each_object_where_it_first_appears(tmp_path: Path) -> None:
    sequence(tmp_path, "dogs", {"frame0": mask(2), "frame2": mask(2, 1), "frame10": mask(3, 2)}, frames=12)
    (task,) = built("davis", tmp_path)
    assert prompts(task) == [(0, "frame0.png", (2,)), (2, "frame2.png", (1,)), (10, "frame10.png", (3,))]
    assert (task.video_id, task.num_frames, (task.height, task.width)) == ("dogs", 12, SIZE)
    assert task.video_uri == f"file://{tmp_path}/JPEGImages/480p/dogs"
    assert [prompt.object_ids for prompt in load_prompts(task, *SIZE).values()] == [(2,), (1,), (3,)]


def test_davis_all_prompts_every_mask_from_the_first_object_on(tmp_path: Path) -> None:
    masks = {"frame0": mask(), "frame1": mask(1), "frame2": mask(), "frame3": mask(2, 0)}
    sequence(tmp_path, "dogs", masks, frames=4)
    (task,) = built("davis", tmp_path, prompts="all")
    assert prompts(task) == [(1, "frame1.png", (1,)), (2, "frame2.png", (1,)), (3, "frame3.png", (1, 2))]
    assert not load_prompts(task, *SIZE)[2].labels.any()


def test_frames_count_in_natural_order(tmp_path: Path) -> None:
    sequence(tmp_path, "dogs", {"frame10": mask(1)}, frames=11)
    assert prompts(built("davis", tmp_path)[0]) == [(10, "frame10.png", (1,))]


def test_binary_masks_need_the_flag_here_and_when_they_are_loaded(tmp_path: Path) -> None:
    sequence(tmp_path, "bear", {"frame0": mask(), "frame1": mask(255, 255)})
    with pytest.raises(InvalidPrompt, match=r"bear/frame1\.png: .*--binary-masks"):
        built("davis", tmp_path)
    (task,) = built("davis", tmp_path, binary_masks=True)
    assert prompts(task) == [(1, "frame1.png", (1,))]
    assert load_prompts(task, *SIZE, binary_masks=True)[1].labels.sum() == 4


def test_a_sequence_without_an_object_is_named(tmp_path: Path) -> None:
    sequence(tmp_path, "dogs", {"frame0": mask()})
    with pytest.raises(InvalidInput, match="dogs: no mask shows an object"):
        built("davis", tmp_path)


def test_sequences_are_chosen_by_a_set_and_a_resolution(tmp_path: Path) -> None:
    for level, name in itertools.product(("480p", "1080p"), ("v1", "v2")):
        sequence(tmp_path, name, {"frame0": mask(1)}, level=level)
    (tmp_path / "val.txt").write_text("v2\n")
    (task,) = built("davis", tmp_path, set_file=str(tmp_path / "val.txt"), resolution="1080p")
    assert task.video_uri == f"file://{tmp_path}/JPEGImages/1080p/v2"
    assert task.prompts[0].mask_uri == f"file://{tmp_path}/Annotations/1080p/v2/frame0.png"


def pair(root: Path, name: str, *ids: int) -> None:
    (root / f"{name}.mp4").write_bytes(b"")
    mask(*ids).save(root / f"{name}.png")


def test_pairs_prompt_frame_0(tmp_path: Path) -> None:
    pair(tmp_path, "clip10", 1)
    pair(tmp_path, "clip2.final", 4, 2)
    first, second = built("pairs", tmp_path)
    assert (first.video_id, second.video_id) == ("clip2.final", "clip10")
    assert prompts(first) == [(0, "clip2.final.png", (2, 4))]
    assert first.video_uri == f"file://{tmp_path}/clip2.final.mp4"
    assert ((first.height, first.width), first.num_frames) == (SIZE, None)


def test_pairs_refuse_an_empty_mask(tmp_path: Path) -> None:
    pair(tmp_path, "clip")
    with pytest.raises(InvalidInput, match=r"clip\.png: shows no object"):
        built("pairs", tmp_path)


@pytest.mark.parametrize("options", [{"set_file": "val.txt"}, {"resolution": "480p"}])
def test_pairs_refuse_options_of_davis(tmp_path: Path, options: dict[str, str]) -> None:
    pair(tmp_path, "clip", 1)
    with pytest.raises(InvalidInput, match="leave it out for pairs"):
        built("pairs", tmp_path, **options)


def test_a_wrong_output_name_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(InvalidManifest, match=r"\.jsonl, .*\.csv, \.parquet"):
        build("davis", str(tmp_path / "missing"), str(tmp_path / "videos.xlsx"))


def youtube_vos(root: Path) -> None:
    """Masks of every second frame, and an object that comes later."""
    for folder, suffix in (("JPEGImages", ".jpg"), ("Annotations", ".png")):
        (root / folder / "0a1b2c").mkdir(parents=True)
        for index in range(0, 20, 5):
            if suffix == ".jpg":
                (root / folder / "0a1b2c" / f"{index:05}.jpg").write_bytes(b"")
            elif index % 10 == 0:
                mask(4, *([2] if index else [])).save(root / folder / "0a1b2c" / f"{index:05}.png")


def test_youtube_vos_prompts_later_objects_where_they_appear(tmp_path: Path) -> None:
    youtube_vos(tmp_path)
    (task,) = built("youtube-vos", tmp_path)
    assert prompts(task) == [(0, "00000.png", (4,)), (2, "00010.png", (2,))]
    assert (task.video_id, task.num_frames, task.metadata) == ("0a1b2c", 4, {})


def test_youtube_vos_categories_become_metadata(tmp_path: Path) -> None:
    youtube_vos(tmp_path)
    objects = {"4": {"category": "penguin", "frames": ["00000"]}, "2": {"category": "hat", "frames": ["00010"]}}
    (tmp_path / "meta.json").write_text(json.dumps({"videos": {"0a1b2c": {"objects": objects}}}))
    (task,) = built("youtube-vos", tmp_path)
    assert task.metadata == {"classes": {"4": "penguin", "2": "hat"}}
    (davis,) = built("davis", tmp_path)
    assert davis.metadata == {}


def test_the_command_says_what_it_wrote_and_what_comes_next(tmp_path: Path) -> None:
    sequence(tmp_path, "bear", {"frame0": mask(255)})
    output = str(tmp_path / "all videos.jsonl")
    call = ["build", str(tmp_path), "--layout", "davis", "--output", output, "--binary-masks"]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0
    assert f"wrote 1 videos to {output}\n" in result.stdout
    assert f"vos-batch segment '{output}' OUTPUT --binary-masks" in result.stdout
    assert len(read_manifest(output)) == 1


def test_the_command_fails_with_one_message_and_exit_code_2(tmp_path: Path) -> None:
    call = ["build", str(tmp_path), "--layout", "pairs", "--output", str(tmp_path / "videos.jsonl")]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert "NAME.png" in result.stderr
    assert not (tmp_path / "videos.jsonl").exists()


@pytest.mark.parametrize(
    ("layout", "options", "message"),
    [
        ("coco", ["--resolution", "480p"], "--resolution does not belong to the layout coco"),
        ("yolo", ["--binary-masks"], "--binary-masks does not belong to the layout yolo"),
        ("davis", ["--images", "x"], "--images does not belong to the layout davis"),
        ("coko", [], "Invalid value for '--layout'"),
    ],
)
def test_the_command_refuses_what_a_layout_has_no_use_for(
    tmp_path: Path, layout: str, options: list[str], message: str
) -> None:
    call = ["build", str(tmp_path), "--layout", layout, "--output", str(tmp_path / "videos.jsonl"), *options]
    result = CliRunner().invoke(app, call, terminal_width=200)
    assert result.exit_code == 2
    assert message in result.stderr
