"""What `export` writes, `manifest build` reads: the same masks, frame by frame and object by object."""

from pathlib import Path

import pytest

from jobs.exports.pictures import Frames
from tests.jobs.datasets.annotations.prompted import Masks, built, first_of, masks_of
from tests.jobs.exports.outputs import CLASSES, FOLDER, UNICODE, Output, exported, make_output, same

WITH_TRACKS = ("coco", "youtube-vis", "cvat", "label-studio", "sa-v")
LATE = 2
"""The frame of its file with which the second video of the OUTPUT begins."""


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Output:
    return make_output(tmp_path_factory.mktemp("output"))


def from_zero(truth: Masks) -> Masks:
    """As exported pictures count, which begin with the first exported one."""
    return {
        (video, index - (LATE if video == UNICODE else 0), object_id): mask
        for (video, index, object_id), mask in truth.items()
    }


@pytest.mark.parametrize("name", [*WITH_TRACKS, "coco-polygons"])
def test_every_mask_comes_back(output: Output, tmp_path: Path, name: str) -> None:
    exported(output, name, tmp_path / "to", manifest=output.manifest, classes=True, frames=Frames.COPY)
    tasks = built(name.removesuffix("-polygons"), tmp_path / "to", tmp_path, prompts="all")
    assert same(masks_of(tasks), from_zero(output.truth))


@pytest.mark.parametrize("name", WITH_TRACKS)
def test_each_object_is_prompted_where_it_is_first_seen(output: Output, tmp_path: Path, name: str) -> None:
    exported(output, name, tmp_path / "to", manifest=output.manifest, classes=True, frames=Frames.COPY)
    tasks = built(name, tmp_path / "to", tmp_path)
    assert same(masks_of(tasks), first_of(from_zero(output.truth)))
    assert not any("tracks" in task.metadata for task in tasks)
    named = {task.video_id: task.metadata.get("classes", {}) for task in tasks}
    if name != "sa-v":
        assert {
            video: {key: one for key, one in found.items() if one != "object"} for video, found in named.items()
        } == CLASSES
    assert {task.video_id: task.num_frames for task in tasks} == {FOLDER: 6, UNICODE: 4}


@pytest.mark.parametrize("name", ["coco", "youtube-vis", "sa-v", "label-studio"])
def test_masks_belong_to_frames_of_the_video_that_was_segmented(output: Output, tmp_path: Path, name: str) -> None:
    """Without exported pictures: a folder and a file, called as the videos are."""
    exported(output, name, tmp_path / "to", manifest=output.manifest, every=2)
    (tmp_path / "videos").mkdir()
    source = Path(output.manifest).parent
    (tmp_path / "videos" / FOLDER).symlink_to(source / "pictures")
    (tmp_path / "videos" / f"{UNICODE}.mp4").symlink_to(source / "file.mp4")
    tasks = built(name, tmp_path / "to", tmp_path, prompts="all", images=str(tmp_path / "videos"))
    assert same(masks_of(tasks), {key: mask for key, mask in output.truth.items() if key[1] % 2 == 0})


def test_yolo_comes_back_as_numbered_objects_of_the_first_frame(output: Output, tmp_path: Path) -> None:
    exported(output, "yolo-seg", tmp_path / "to", manifest=output.manifest, classes=True, frames=Frames.COPY)
    notes: list[str] = []
    walk = next(task for task in built("yolo", tmp_path / "to", tmp_path, tell=notes.append) if task.video_id == FOLDER)
    found = masks_of([walk])
    truth = [output.truth[FOLDER, 0, object_id] for object_id in (1, 300)]
    assert same(found, {(FOLDER, 0, number): mask for number, mask in enumerate(truth, 1)})
    assert walk.metadata == {"classes": {"1": "car", "2": "pedestrian"}}
    assert f"video {FOLDER!r}: objects have no track ids, so of 6 annotated frames only the first is taken" in notes
