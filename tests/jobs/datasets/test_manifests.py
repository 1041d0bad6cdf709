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


def test_sequences_come_in_natural_order_or_as_listed(tmp_path: Path) -> None:
    for name in ("v10", "v2", "v1"):
        sequence(tmp_path, name, {"frame0": mask(1)})
    assert [task.video_id for task in built("davis", tmp_path)] == ["v1", "v2", "v10"]
    (tmp_path / "val.txt").write_text("v10\n\nv1\nv10\n")
    listed = built("davis", tmp_path, set_file=str(tmp_path / "val.txt"))
    assert [task.video_id for task in listed] == ["v10", "v1"]


def test_the_resolution_folder_may_be_absent(tmp_path: Path) -> None:
    sequence(tmp_path, "dogs", {"frame0": mask(1)}, level="")
    assert built("davis", tmp_path)[0].video_uri.endswith("/JPEGImages/dogs")
    with pytest.raises(InvalidInput, match="leave out --resolution"):
        built("davis", tmp_path, resolution="480p")


def test_one_of_several_resolutions_must_be_named(tmp_path: Path) -> None:
    for level in ("480p", "1080p"):
        sequence(tmp_path, "dogs", {"frame0": mask(1)}, level=level)
    for wrong in (None, "720p"):
        with pytest.raises(InvalidInput, match="480p, 1080p with --resolution"):
            built("davis", tmp_path, resolution=wrong)
    assert built("davis", tmp_path, resolution="1080p")[0].video_uri.endswith("/1080p/dogs")


def test_binary_masks_need_the_flag_here_and_when_they_are_loaded(tmp_path: Path) -> None:
    sequence(tmp_path, "bear", {"frame0": mask(), "frame1": mask(255, 255)})
    with pytest.raises(InvalidPrompt, match=r"bear/frame1\.png: .*--binary-masks"):
        built("davis", tmp_path)
    (task,) = built("davis", tmp_path, binary_masks=True)
    assert prompts(task) == [(1, "frame1.png", (1,))]
    assert load_prompts(task, *SIZE, binary_masks=True)[1].labels.sum() == 4


def test_davis_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="has no JPEGImages"):
        built("davis", tmp_path)
    sequence(tmp_path, "dogs", {"frame0": mask(1)})
    (tmp_path / "JPEGImages" / "480p" / "cats").mkdir()
    with pytest.raises(InvalidInput, match="Annotations/480p lacks the folders cats"):
        built("davis", tmp_path)
    (tmp_path / "val.txt").write_text("dogs\nfrogs\n")
    with pytest.raises(InvalidInput, match="JPEGImages/480p lacks the folders frogs"):
        built("davis", tmp_path, set_file=str(tmp_path / "val.txt"))
    (tmp_path / "val.txt").write_text("\n")
    with pytest.raises(InvalidInput, match="lists no sequence"):
        built("davis", tmp_path, set_file=str(tmp_path / "val.txt"))
    with pytest.raises(InvalidInput, match=r"none\.txt: no such file"):
        built("davis", tmp_path, set_file=str(tmp_path / "none.txt"))


def test_davis_refuses_masks_that_it_cannot_place(tmp_path: Path) -> None:
    sequence(tmp_path / "a", "dogs", {"frame9": mask(1)})
    with pytest.raises(InvalidInput, match=r"dogs: no frames belong to frame9\.png"):
        built("davis", tmp_path / "a")
    sequence(tmp_path / "b", "dogs", {"frame0": mask(1)})
    (tmp_path / "b/JPEGImages/480p/dogs/frame0.png").write_bytes(b"")
    with pytest.raises(InvalidInput, match="frames share a name"):
        built("davis", tmp_path / "b")


def test_a_sequence_without_an_object_is_named(tmp_path: Path) -> None:
    sequence(tmp_path, "dogs", {"frame0": mask()})
    with pytest.raises(InvalidInput, match="dogs: no mask shows an object"):
        built("davis", tmp_path)


def pair(root: Path, name: str, *ids: int) -> None:
    (root / f"{name}.mp4").write_bytes(b"")
    mask(*ids).save(root / f"{name}.png")


def test_pairs_prompt_frame_0_in_natural_order(tmp_path: Path) -> None:
    pair(tmp_path, "clip10", 1)
    pair(tmp_path, "clip2.final", 4, 2)
    (tmp_path / "README.md").write_text("not a video")
    first, second = built("pairs", tmp_path)
    assert (first.video_id, second.video_id) == ("clip2.final", "clip10")
    assert prompts(first) == [(0, "clip2.final.png", (2, 4))]
    assert first.video_uri == f"file://{tmp_path}/clip2.final.mp4"
    assert ((first.height, first.width), first.num_frames) == (SIZE, None)


def test_pairs_match_by_name_where_one_name_begins_another(tmp_path: Path) -> None:
    """By their suffixes `clip.mp4` and `clip.new.mp4` sort the other way round than their masks."""
    pair(tmp_path, "clip", 1)
    pair(tmp_path, "clip.new", 2)
    tasks = {task.video_id: task for task in built("pairs", tmp_path)}
    assert prompts(tasks["clip"]) == [(0, "clip.png", (1,))]
    assert prompts(tasks["clip.new"]) == [(0, "clip.new.png", (2,))]
    assert tasks["clip.new"].video_uri.endswith("/clip.new.mp4")


def test_pairs_list_what_has_no_partner(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no video"):
        built("pairs", tmp_path)
    pair(tmp_path, "good", 1)
    (tmp_path / "alone.mov").write_bytes(b"")
    mask(1).save(tmp_path / "lost.png")
    with pytest.raises(InvalidInput, match=r"no mask beside alone\.mov; no video beside lost\.png"):
        built("pairs", tmp_path)


def test_pairs_refuse_two_videos_of_one_name(tmp_path: Path) -> None:
    pair(tmp_path, "clip", 1)
    (tmp_path / "clip.mkv").write_bytes(b"")
    with pytest.raises(InvalidInput, match="share a name"):
        built("pairs", tmp_path)


def test_pairs_refuse_two_masks_of_one_name(tmp_path: Path) -> None:
    pair(tmp_path, "x", 1)
    (tmp_path / "x.PNG").write_bytes((tmp_path / "x.png").read_bytes())
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("this file system does not tell x.png from x.PNG")
    with pytest.raises(InvalidInput, match="masks share a name"):
        built("pairs", tmp_path)


def test_pairs_refuse_an_empty_mask(tmp_path: Path) -> None:
    pair(tmp_path, "clip")
    with pytest.raises(InvalidInput, match=r"clip\.png: shows no object"):
        built("pairs", tmp_path)


@pytest.mark.parametrize("options", [{"set_file": "val.txt"}, {"resolution": "480p"}])
def test_pairs_refuse_options_of_davis(tmp_path: Path, options: dict[str, str]) -> None:
    pair(tmp_path, "clip", 1)
    with pytest.raises(InvalidInput, match="leave them out for pairs"):
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
    (tmp_path / "meta.json").write_text("[]")
    with pytest.raises(InvalidInput, match=r"meta\.json is no list of YouTube-VOS categories"):
        built("youtube-vos", tmp_path)


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
