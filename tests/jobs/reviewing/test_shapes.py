"""Shapes from run lengths, against the masks themselves."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from jobs.reviewing.shapes import EMPTY, overlap, run_ends, shape_of
from pipeline.output import rle

MASKS = hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.integers(0, 1))


def row_of(mask: NDArray[np.uint8]) -> dict[str, Any]:
    (found,) = rle.encode(mask.astype(np.int32), [1])
    x, y, w, h = found.box or (None,) * 4
    return {
        "rle": found.counts, "area": found.area, "height": mask.shape[0], "width": mask.shape[1],
        "bbox_x": x, "bbox_y": y, "bbox_w": w, "bbox_h": h,
    }  # fmt: skip


def blobs(*boxes: tuple[int, int, int, int], size: tuple[int, int] = (60, 80)) -> NDArray[np.uint8]:
    mask = np.zeros(size, np.uint8)
    for x, y, w, h in boxes:
        mask[y : y + h, x : x + w] = 1
    return mask


@given(MASKS)
def test_runs_end_where_pixels_change(mask: NDArray[np.uint8]) -> None:
    pixels = mask.T.reshape(-1)
    ends = run_ends(row_of(mask)["rle"])
    inside = np.searchsorted(ends, np.arange(len(pixels)), side="right") & 1
    assert (inside == pixels).all()


def test_runs_of_a_large_picture() -> None:
    """Counts of several characters, differences below zero."""
    rng = np.random.default_rng(0)
    mask = (rng.random((700, 900)) < 0.001).astype(np.uint8)
    mask[:, 300:500] = 1
    ends = run_ends(row_of(mask)["rle"])
    inside = np.searchsorted(ends, np.arange(mask.size), side="right") & 1
    assert (inside == mask.T.reshape(-1)).all()


@given(MASKS, st.integers(0, 2**32 - 1))
def test_overlap_is_that_of_the_masks(mask: NDArray[np.uint8], seed: int) -> None:
    other = (np.random.default_rng(seed).random(mask.shape) < 0.5).astype(np.uint8)
    union = np.count_nonzero(mask | other)
    wanted = np.count_nonzero(mask & other) / union if union else 1.0
    assert overlap(row_of(mask), row_of(other)) == pytest.approx(wanted)


def test_fragments_and_the_share_of_the_largest() -> None:
    shape = shape_of(row_of(blobs((0, 0, 20, 40), (40, 20, 20, 20), (70, 50, 10, 10))))
    assert shape.fragments == 3
    assert shape.largest_fragment == pytest.approx(800 / 1300, abs=0.03)


def test_a_whole_box_is_one_part_without_raggedness() -> None:
    assert shape_of(row_of(blobs((5, 5, 20, 30)))) == (1, 1, 0)


def test_stripes_are_ragged() -> None:
    assert shape_of(row_of(blobs((0, 0, 20, 5), (0, 10, 20, 5), (0, 20, 20, 5)))).raggedness == 2


def test_a_column_that_touches_the_next_is_no_more_ragged() -> None:
    assert shape_of(row_of(blobs((3, 0, 20, 60)))).raggedness < 0.01


def test_an_empty_mask_has_no_shape() -> None:
    assert shape_of(row_of(blobs())) == EMPTY


def test_a_pixel() -> None:
    assert shape_of(row_of(blobs((79, 59, 1, 1)))) == (1, 1, 0)
