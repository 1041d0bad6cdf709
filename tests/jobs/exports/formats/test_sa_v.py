import json
from pathlib import Path

from pipeline.output import rle
from pipeline.output.marker import claim_output
from pipeline.storage.store import Store
from tests.jobs.exports.outputs import FOLDER, UNICODE, Output, Truth, exported, overlapping, put_video, same, truth_of


def masks_of(to: Path, first: dict[str, int]) -> Truth:
    found = {}
    for path in sorted(to.glob("*_manual.json")):
        content = json.loads(path.read_text())
        for place, frame in enumerate(content["masklet"]):
            for object_id, mask in zip(content["masklet_id"], frame, strict=True):
                pixels = rle.decode(mask["counts"], *mask["size"])
                if pixels.any():
                    found[content["video_id"], first[content["video_id"]] + place, object_id] = pixels
    return found


def test_every_frame_has_a_mask_of_every_object(output: Output, tmp_path: Path) -> None:
    exported(output, "sa-v", tmp_path / "to")
    assert same(masks_of(tmp_path / "to", {FOLDER: 0, UNICODE: 2}), output.truth)


def test_overlaps_are_kept(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "out"))
    claim_output(store)
    put_video(store, "v", overlapping())
    exported(store.url, "sa-v", tmp_path / "to")
    assert same(masks_of(tmp_path / "to", {"v": 0}), truth_of("v", overlapping()))


def test_what_is_told_of_each_object(output: Output, tmp_path: Path) -> None:
    exported(output, "sa-v", tmp_path / "to")
    content = json.loads((tmp_path / f"to/{FOLDER}_manual.json").read_text())
    assert content["masklet_id"] == [1, 3, 300]
    assert content["masklet_first_appeared_frame"] == [0, 2, 0]
    assert content["masklet_visibility_changes"] == [0, 0, 2]
    assert content["masklet_size_abs"] == [285.0, 51.0, 289.0]
    assert content["masklet_size_bucket"] == ["small"] * 3
    assert content["masklet_type"] == ["auto"] * 3
    assert content["video_frame_count"] == 6
    other = json.loads((tmp_path / f"to/{UNICODE}_manual.json").read_text())
    assert other["video_duration"] == 4 / 25
