import json
from pathlib import Path

from jobs.exports.losses import Loss
from pipeline.output import rle
from tests.jobs.exports.outputs import FOLDER, UNICODE, Output, exported, same


def test_every_frame_has_a_mask_or_null(output: Output, tmp_path: Path) -> None:
    written = exported(output, "youtube-vis", tmp_path / "to")
    content = json.loads((tmp_path / "to/instances.json").read_text())
    videos = {video["id"]: video for video in content["videos"]}
    found = {}
    for track in content["annotations"]:
        video = videos[track["video_id"]]
        assert video["length"] == len(video["file_names"]) == len(track["segmentations"])
        for place, mask in enumerate(track["segmentations"]):
            assert (mask is None) == (track["areas"][place] is None) == (track["bboxes"][place] is None)
            if mask:
                first = {FOLDER: 0, UNICODE: 2}[video["name"]]
                found[video["name"], first + place, track["object_id"]] = rle.decode(mask["counts"], *mask["size"])
    assert same(found, output.truth)
    assert written.lost == {Loss.TIME: 4}


def test_numbers_are_those_of_the_video_and_the_object(output: Output, tmp_path: Path) -> None:
    exported(output, "youtube-vis", tmp_path / "to")
    content = json.loads((tmp_path / "to/instances.json").read_text())
    # In the order of ids "T" is before "w".
    assert [(one["id"], one["video_id"], one["object_id"]) for one in content["annotations"]] == [
        (1, 1, 1),
        (2, 2, 1),
        (3, 2, 3),
        (4, 2, 300),
    ]


def test_a_track_scores_the_mean_of_its_masks(output: Output, tmp_path: Path) -> None:
    exported(output, "youtube-vis", tmp_path / "to")
    *_, last = json.loads((tmp_path / "to/instances.json").read_text())["annotations"]
    # 300 is second until 3 comes.
    assert last["scores"] == [0.8, 0.8, 0.7, None, None, 0.7]
    assert last["score"] == 0.75
