from pathlib import Path

import numpy as np
import pytest

from jobs.exports.losses import Loss
from jobs.pictures.colours import object_colour
from pipeline.errors import InvalidInput
from tests.jobs.exports.outputs import FOLDER, UNICODE, Output, exported
from tests.jobs.pictures.shown import distance, read_video


def test_every_frame_shows_its_masks(output: Output, tmp_path: Path) -> None:
    exported(output, "overlay", tmp_path / "to", manifest=output.manifest)
    frames = read_video(tmp_path / f"to/{FOLDER}.mp4")
    assert len(frames) == 6
    tint = 0.55 * np.array(object_colour(300))
    for t, frame in enumerate(frames):
        inside = distance(frame[38, 10], tint + 0.45 * (200 * 10 / 60 + 5 * t)) < 30
        assert inside == ((FOLDER, t, 300) in output.truth)
    assert len(read_video(tmp_path / f"to/{UNICODE}.mp4")) == 4


def test_classes_and_ids_are_not_shown(output: Output, tmp_path: Path) -> None:
    written = exported(output, "overlay", tmp_path / "to", manifest=output.manifest, classes=True)
    assert (written.lost[Loss.CLASS], written.lost[Loss.IDENTITY]) == (4, 18)


def test_without_a_manifest_it_is_refused(output: Output, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--manifest"):
        exported(output, "overlay", tmp_path / "to")
    assert not (tmp_path / "to").exists()
