import json
from pathlib import Path

from jobs.datasets.youtube_vos import read_categories
from pipeline.storage.store import Store
from tests.jobs.exports.formats.test_davis import label_maps
from tests.jobs.exports.outputs import FOLDER, UNICODE, Output, exported


def test_the_masks_are_those_of_davis(output: Output, tmp_path: Path) -> None:
    for name in ("davis", "youtube-vos"):
        exported(output, name, tmp_path / name)
    one, other = (label_maps(tmp_path / name) for name in ("davis", "youtube-vos"))
    assert {(video, stem, labels.tobytes()) for video, maps in one.items() for stem, labels in maps.items()} == {
        (video, stem, labels.tobytes()) for video, maps in other.items() for stem, labels in maps.items()
    }


def test_an_object_lists_the_frames_that_it_is_in(output: Output, tmp_path: Path) -> None:
    exported(output, "youtube-vos", tmp_path / "to")
    videos = json.loads((tmp_path / "to/meta.json").read_text())["videos"]
    assert {number: found["frames"] for number, found in videos[FOLDER]["objects"].items()} == {
        "1": ["8", "9", "10", "11", "12", "13"],
        "2": ["8", "9", "10", "13"],
        "3": ["10", "11", "12", "13"],
    }


def test_categories_are_read_back(output: Output, tmp_path: Path) -> None:
    exported(output, "youtube-vos", tmp_path / "to", manifest=output.manifest, classes=True)
    assert read_categories(Store(str(tmp_path / "to"))) == {
        FOLDER: {"1": "car", "2": "pedestrian", "3": "object"},
        UNICODE: {"1": "pedestrian"},
    }
