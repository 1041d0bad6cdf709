"""Outlines enclose what masks hold."""

import re

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from jobs.reports.outlines import outline
from tests.jobs.exports.outputs import box


def enclosed(path: str, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The half pixels [2 H, 2 W] inside a path or on it, drawn by somebody else."""
    rings = []
    for part in filter(None, path.split("z")):
        numbers = np.array([int(number) for number in re.findall(r"-?\d+", part)]).reshape(-1, 2)
        rings.append(numbers.cumsum(axis=0).astype(np.int32))
    canvas = np.zeros((2 * size[0], 2 * size[1]), np.uint8)
    cv2.fillPoly(canvas, rings, 1)
    return canvas.astype(bool)


def doubled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.kron(mask, np.ones((2, 2), bool))


@pytest.mark.parametrize(
    "mask",
    [
        box(20, 30, 3, 5, 11, 25),
        box(20, 30, 0, 0, 20, 30),
        box(20, 30, 7, 9, 8, 10),
        box(20, 30, 2, 2, 9, 9) | box(20, 30, 12, 15, 18, 28),
    ],
)
def test_boxes_are_enclosed_to_the_pixel(mask: NDArray[np.bool_]) -> None:
    assert np.array_equal(enclosed(outline(mask, mask.shape), mask.shape), doubled(mask))


def test_holes_are_left_out() -> None:
    mask = box(40, 40, 4, 4, 36, 36) & ~box(40, 40, 12, 12, 28, 28)
    found = enclosed(outline(mask, mask.shape), mask.shape)
    assert not found[30:50, 30:50].any()
    assert found[10:20, 10:70].all()


@given(st.integers(20, 60), st.integers(20, 60), st.floats(0.2, 0.45), st.floats(0, 3))
def test_what_is_round_is_enclosed_nearly(height: int, width: int, radius: float, angle: float) -> None:
    mask = np.zeros((height, width), np.uint8)
    axes = (round(radius * width), round(radius * height))
    cv2.ellipse(mask, (width // 2, height // 2), axes, np.degrees(angle), 0, 360, 1, -1)
    found = enclosed(outline(mask.astype(bool), mask.shape), mask.shape)
    truth = doubled(mask.astype(bool))
    assert (found & truth).sum() / (found | truth).sum() > 0.85


def test_a_smaller_picture_keeps_what_is_thin() -> None:
    mask = box(400, 600, 100, 50, 102, 500)
    found = enclosed(outline(mask, (100, 150)), (100, 150))
    assert found[50].sum() > 200
    assert not found[:40].any()


def test_an_empty_mask_has_no_outline() -> None:
    assert outline(np.zeros((9, 7), bool), (9, 7)) == ""
