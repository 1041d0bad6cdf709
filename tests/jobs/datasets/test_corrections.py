"""Corrected masks become further prompts, of what was corrected alone."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from jobs.datasets.corrections import Corrected, correct
from jobs.exports.pictures import Frames
from jobs.manifest import app
from pipeline.errors import InvalidInput, InvalidPrompt
from pipeline.input.manifest import VideoTask, read_manifest, write_manifest
from pipeline.input.prompts import load_prompts
from pipeline.output import rle
from pipeline.output.layout import safe_name
from tests.jobs.exports.outputs import FOLDER, UNICODE, Output, box, exported, make_output

SIZE = (47, 61)
MOVED = box(*SIZE, 6, 30, 20, 50)
"""Where object 1 really is."""


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Output:
    """Two videos, and a manifest whose prompts are their first masks."""
    made = make_output(tmp_path_factory.mktemp("output"))
    first = {FOLDER: (0, {1: 0, 300: 0, 3: 2}), UNICODE: (2, {1: 2})}
    rows = []
    for line in Path(made.manifest).read_text().splitlines():
        row = json.loads(line)
        del row["mask_uri"], row["mask_frame"]
        _, objects = first[row["video_id"]]
        row["prompts"] = [
            {"frame_index": frame, "objects": [
                {"object_id": one, "rle": coco(made.truth[row["video_id"], frame, one])}
                for one in objects if objects[one] == frame
            ]}
            for frame in sorted(set(objects.values()))
        ]  # fmt: skip
        rows.append(row)
    Path(made.manifest).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return made


def coco(mask: NDArray[np.bool_]) -> dict[str, Any]:
    return {"size": list(mask.shape), "counts": rle.encode(mask.astype(np.int32), [1])[0].counts}


def labels_of(output: Output, frame: int) -> NDArray[np.uint16]:
    """What was found on a frame of the folder, as an annotator would open it."""
    labels = np.zeros(SIZE, np.uint16)
    for (video, index, object_id), mask in output.truth.items():
        if (video, index) == (FOLDER, frame):
            labels[mask] = object_id
    return labels


def moved(output: Output, frame: int) -> NDArray[np.uint16]:
    labels = labels_of(output, frame)
    labels[labels == 1] = 0
    labels[MOVED & (labels == 0)] = 1
    return labels


def save(folder: Path, name: str, labels: NDArray[np.uint16]) -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(folder / name), labels)
    return folder


def corrected(output: Output, source: Path, **options: Any) -> tuple[Corrected, dict[str, VideoTask]]:
    to = source.parent / "corrected.jsonl"
    done = correct(output.manifest, str(source), str(to), **options)
    return done, {task.video_id: task for task in read_manifest(str(to))}


def before(output: Output) -> dict[str, VideoTask]:
    return {task.video_id: task for task in read_manifest(output.manifest)}


def test_a_corrected_mask_speaks_for_all_that_is_known_there(output: Output, tmp_path: Path) -> None:
    done, tasks = corrected(output, save(tmp_path / "masks", f"{FOLDER}/11.png", moved(output, 3)))
    assert done == Corrected(videos=1, frames=1, objects=3, unchanged=0)
    prompt = load_prompts(tasks[FOLDER], *SIZE)[3]
    assert prompt.object_ids == (1, 3, 300)
    assert np.array_equal(prompt.labels, moved(output, 3))
    assert tasks[FOLDER].prompts[:2] == before(output)[FOLDER].prompts
    assert tasks[FOLDER].metadata["corrections"] == [{"frame_index": 3, "object_ids": [1, 3, 300]}]
    assert tasks[UNICODE] == before(output)[UNICODE]


def test_an_object_that_comes_later_is_not_spoken_for(output: Output, tmp_path: Path) -> None:
    _, tasks = corrected(output, save(tmp_path / "masks", f"{FOLDER}/9.png", moved(output, 1)))
    assert [prompt.object_ids for prompt in tasks[FOLDER].prompts if prompt.frame_index == 1] == [(1, 300)]


def test_what_is_as_found_is_no_correction(output: Output, tmp_path: Path) -> None:
    """A whole export is given, with one object moved on one of its frames."""
    exported(output, "davis", tmp_path / "masks")
    labels = moved(output, 3)
    labels[labels == 300] = 2  # as object_ids.json says
    (found,) = (tmp_path / "masks" / "Annotations").rglob("11.png")
    assert cv2.imwrite(str(found), labels.astype(np.uint8))
    done, tasks = corrected(output, tmp_path / "masks", run=output.url)
    assert (done.videos, done.frames, done.objects) == (1, 1, 1)
    assert done.unchanged == len([key for key in output.truth if key != (FOLDER, 3, 1)]) + 2  # away
    (prompt,) = (prompt for prompt in tasks[FOLDER].prompts if prompt.frame_index == 3)
    assert prompt.object_ids == (1,)


@pytest.mark.parametrize("layout", ["coco", "cvat", "label-studio", "sa-v"])
def test_what_annotation_tools_wrote(output: Output, tmp_path: Path, layout: str) -> None:
    """As exported nothing is corrected; the frame numbers are those of the video."""
    exported(output, layout, tmp_path / "to", manifest=output.manifest, only=(FOLDER,), frames=Frames.COPY)
    done, tasks = corrected(output, tmp_path / "to", layout=layout)
    assert done == Corrected(videos=1, frames=6, objects=16, unchanged=0)
    prompts = load_prompts(tasks[FOLDER], *SIZE)
    assert [prompts[t].object_ids for t in prompts] == [(1, 300), (1, 300), *[(1, 3, 300)] * 4]
    assert all(np.array_equal(prompts[t].labels, labels_of(output, t)) for t in prompts)
    with pytest.raises(InvalidInput, match=f"holds no correction, as all is as {output.url} has it"):
        corrected(output, tmp_path / "to", layout=layout, run=output.url)


def test_a_correction_replaces_the_prompt_of_its_frame_and_object(output: Output, tmp_path: Path) -> None:
    labels = labels_of(output, 0)
    labels[MOVED & (labels == 0)] = 1
    _, tasks = corrected(output, save(tmp_path / "masks", f"{FOLDER}/8.png", labels), run=output.url)
    by_frame = [(prompt.frame_index, prompt.known_ids) for prompt in tasks[FOLDER].prompts]
    assert sorted(by_frame) == [(0, (1,)), (0, (300,)), (2, (3,))]
    assert np.array_equal(load_prompts(tasks[FOLDER], *SIZE)[0].labels, labels)


def test_an_object_that_is_gone_is_said_to_be_gone(output: Output, tmp_path: Path) -> None:
    labels = labels_of(output, 3)
    labels[labels == 1] = 0
    _, tasks = corrected(output, save(tmp_path / "masks", f"{FOLDER}/11.png", labels), run=output.url)
    prompt = load_prompts(tasks[FOLDER], *SIZE)[3]
    assert prompt.object_ids == (1,)
    assert not prompt.labels.any()


def test_a_folder_may_have_the_name_of_an_export(output: Output, tmp_path: Path) -> None:
    labels = np.zeros((34, 40), np.uint16)
    labels[3:9, 4:20] = 1
    _, tasks = corrected(output, save(tmp_path / "masks", f"{safe_name(UNICODE)}/00004.png", labels))
    assert [prompt.frame_index for prompt in tasks[UNICODE].prompts] == [2, 4]


def test_corrections_of_corrections_keep_their_history(output: Output, tmp_path: Path) -> None:
    corrected(output, save(tmp_path / "masks", f"{FOLDER}/11.png", moved(output, 3)))
    first = tmp_path / "corrected.jsonl"
    second = save(tmp_path / "more", f"{FOLDER}/12.png", moved(output, 4))
    correct(str(first), str(second), str(tmp_path / "again.jsonl"))
    task = read_manifest(str(tmp_path / "again.jsonl"))[0]
    assert [one["frame_index"] for one in task.metadata["corrections"]] == [3, 4]


@pytest.mark.parametrize(
    ("name", "change", "error", "said"),
    [
        ("stranger/11.png", {}, InvalidInput, "the manifest has no video 'stranger'; it has walk, .*: rename it"),
        (f"{FOLDER}/7.png", {}, InvalidInput, "has no frame of this name; call it as the frame"),
        (f"{FOLDER}/11.png", {"id": 9}, InvalidInput, "has no object 9, only 1, 300, 3; correct the id"),
        (f"{FOLDER}/11.png", {"size": (5, 4)}, InvalidPrompt, "is 4 x 5, the video 61 x 47"),
    ],
)
def test_what_fits_nothing_is_named(
    output: Output, tmp_path: Path, name: str, change: dict[str, Any], error: type[Exception], said: str
) -> None:
    labels = np.full(change.get("size", SIZE), change.get("id", 1), np.uint16)
    with pytest.raises(error, match=said):
        corrected(output, save(tmp_path / "masks", name, labels))


def test_new_objects_are_let_in_where_that_is_asked_for(output: Output, tmp_path: Path) -> None:
    source = save(tmp_path / "masks", f"{FOLDER}/11.png", np.full(SIZE, 9, np.uint16))
    _, tasks = corrected(output, source, new_objects=True)
    assert tasks[FOLDER].prompts[-1].object_ids == (1, 3, 9, 300)


def test_a_folder_without_corrections_is_refused(output: Output, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="empty: holds no correction; save what you corrected"):
        corrected(output, tmp_path / "empty")
    with pytest.raises(InvalidInput, match="--layout: yolov5 is not known; choose one of masks, decisions, coco"):
        corrected(output, tmp_path / "empty", layout="yolov5")


def test_shapes_without_tracks_are_refused(output: Output, tmp_path: Path) -> None:
    exported(output, "coco", tmp_path / "to", only=(FOLDER,))
    path = tmp_path / "to" / "annotations" / "instances_default.json"
    content = json.loads(path.read_text())
    for annotation in content["annotations"]:
        annotation.pop("track_id", None)
        annotation.pop("attributes", None)
    path.write_text(json.dumps(content))
    with pytest.raises(InvalidInput, match="has no track id, so nobody knows which object it corrects"):
        corrected(output, tmp_path / "to", layout="coco")


def test_masks_of_a_manifest_are_looked_into(output: Output, tmp_path: Path) -> None:
    """Its prompts may be masks that do not name their objects."""
    save(tmp_path, "first.png", labels_of(output, 0))
    given = {"frame_index": 0, "mask_uri": str(tmp_path / "first.png")}
    row = {"video_id": FOLDER, "video_uri": before(output)[FOLDER].video_uri, "prompts": [given]}
    (tmp_path / "m.jsonl").write_text(json.dumps(row))
    source = save(tmp_path / "masks", f"{FOLDER}/8.png", moved(output, 0))
    correct(str(tmp_path / "m.jsonl"), str(source), str(tmp_path / "new.jsonl"), run=output.url)
    (task,) = read_manifest(str(tmp_path / "new.jsonl"))
    assert [prompt.object_ids for prompt in task.prompts] == [(300,), (1,)]
    write_manifest(str(tmp_path / "again.parquet"), [task])
    assert read_manifest(str(tmp_path / "again.parquet"))[0].prompts == task.prompts


def test_the_command_says_what_comes_next(output: Output, tmp_path: Path) -> None:
    source = save(tmp_path / "masks", f"{FOLDER}/11.png", moved(output, 3))
    to = tmp_path / "new.jsonl"
    ran = CliRunner().invoke(
        app, ["correct", output.manifest, "--from", str(source), "--output", str(to), "--run", output.url]
    )
    assert ran.exit_code == 0, ran.output
    said = " ".join(ran.output.split())
    assert "1 objects on 1 frames of 1 videos are corrected" in said
    assert "left as found: 2 objects of corrected frames" in said
    assert "vos-batch segment" in said
