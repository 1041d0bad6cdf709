from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.typing import NDArray

from jobs.exports.formats.yolo_seg import filled, outline
from jobs.exports.losses import Loss
from tests.jobs.exports.outputs import FOLDER, Output, box, exported


def masks_of(path: Path, size: tuple[int, int], to_pixels: Callable[[Any], Any]) -> list[tuple[int, NDArray[np.bool_]]]:
    """Class and mask of each line, drawn as readers do it."""
    found = []
    for line in path.read_text().splitlines():
        category, *values = line.split()
        points = to_pixels(np.array(values, float).reshape(-1, 2) * (size[1], size[0])).astype(np.int32)
        canvas = np.zeros(size, np.uint8)
        cv2.fillPoly(canvas, [points], (1,))
        found.append((int(category), canvas.astype(bool)))
    return found


@pytest.mark.parametrize("to_pixels", [np.floor, np.round])
def test_holes_are_exact_for_readers_that_round_or_cut_off(output: Output, tmp_path: Path, to_pixels: Any) -> None:
    exported(output, "yolo-seg", tmp_path / "to", manifest=output.manifest, classes=True)
    found = masks_of(tmp_path / f"to/labels/{FOLDER}/8.txt", (47, 61), to_pixels)
    assert [category for category, _ in found] == [0, 2]
    for object_id, (_, mask) in zip((1, 300), found, strict=True):
        assert np.array_equal(mask, output.truth[FOLDER, 0, object_id])


def test_what_a_bridge_covers_is_counted(output: Output, tmp_path: Path) -> None:
    written = exported(output, "yolo-seg", tmp_path / "to", only=[FOLDER])
    beside = 0
    for t in range(2, 6):
        found = masks_of(tmp_path / f"to/labels/{FOLDER}/{8 + t}.txt", (47, 61), np.floor)
        beside += int((found[1][1] != output.truth[FOLDER, t, 3]).sum())
    assert beside > 0
    assert written.lost[Loss.OUTLINE] == beside


def test_names_of_the_classes(output: Output, tmp_path: Path) -> None:
    exported(output, "yolo-seg", tmp_path / "to", manifest=output.manifest, classes=True)
    assert (tmp_path / "to/data.yaml").read_text().endswith('names:\n  0: "car"\n  1: "object"\n  2: "pedestrian"\n')


@given(st_numpy.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_no_pixel_of_a_mask_is_missed(mask: NDArray[np.bool_]) -> None:
    if mask.any():
        assert not (mask & ~filled(outline(mask), mask.shape)).any()


def test_one_part_with_holes_is_exact() -> None:
    mask = box(20, 30, 1, 1, 19, 29) & ~box(20, 30, 3, 3, 8, 8) & ~box(20, 30, 10, 12, 15, 25)
    assert np.array_equal(filled(outline(mask), mask.shape), mask)
