"""Crops show the object, something around it, and nothing beyond the frame."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jobs.reports.crops import LONGER_SIDE, SMALLEST, Box, crop_around, union


@st.composite
def boxes(draw: st.DrawFn, most: int = 2000) -> tuple[Box, Box, tuple[int, int]]:
    """Two boxes in a frame, and its height and width."""
    height, width = draw(st.integers(1, most)), draw(st.integers(1, most))

    def box() -> Box:
        x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
        return x, y, draw(st.integers(1, width - x)), draw(st.integers(1, height - y))

    return box(), box(), (height, width)


@given(boxes())
def test_a_crop_lies_in_the_frame_and_around_the_object(given: tuple[Box, Box, tuple[int, int]]) -> None:
    box, other, (height, width) = given
    crop = crop_around(box, union([box, other]), (height, width))
    assert 0 <= crop.left <= box[0] and box[0] + box[2] <= crop.left + crop.width <= width
    assert 0 <= crop.top <= box[1] and box[1] + box[3] <= crop.top + crop.height <= height
    assert crop.width >= min(width, SMALLEST, 2 * box[2])
    assert max(crop.size) <= LONGER_SIDE
    assert crop.scale <= 1


@given(boxes(most=300))
def test_a_picture_has_the_size_that_is_said(given: tuple[Box, Box, tuple[int, int]]) -> None:
    box, other, size = given
    crop = crop_around(box, union([box, other]), size)
    assert crop.picture(np.zeros((*size, 3), np.uint8)).shape == (*crop.size, 3)


def test_boxes_are_counted_in_pixels_of_the_picture() -> None:
    crop = crop_around((1000, 500, 300, 200), (1000, 500, 300, 200), (1080, 1920))
    assert (crop.width, crop.height) == (1200, 1080)
    x, y, width, height = crop.box_inside((1000, 500, 300, 200))
    assert crop.scale == LONGER_SIDE / 1200
    assert (round(width), round(height)) == (120, 80)
    assert round(x) == round((1000 - crop.left) * 0.4)
    assert round(y) == 200


def test_what_moves_far_is_still_in_the_crop() -> None:
    ball, way = (500, 500, 40, 40), (500, 380, 40, 400)
    crop = crop_around(ball, way, (1080, 1920))
    assert crop.top <= 380 and crop.top + crop.height >= 780
