"""Shapes as pixels of a picture: where COCO's library puts them, cut at the border, refused far from it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco

from pipeline.errors import InvalidPrompt
from pipeline.input.objects import PromptObject
from pipeline.input.shapes import Box, mask_of_shape, pixels_of_box

SIZE = (40, 60)
"""Height, width."""


def box(*values: float) -> Box:
    return pixels_of_box(PromptObject.of_box(1, values), SIZE)


def polygons(*values: list[float]) -> "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]":
    return mask_of_shape(PromptObject.of_polygons(1, list(values)), SIZE)


@pytest.mark.parametrize(
    ("given_box", "expected"),
    [
        ((10, 5, 20, 10), Box(10, 5, 30, 15)),
        ((0, 0, 60, 40), Box(0, 0, 60, 40)),
        ((10.4, 5.4, 20, 10), Box(10, 5, 30, 15)),
        ((10.6, 5.6, 20, 10), Box(11, 6, 31, 16)),
        ((-5, -3, 20, 10), Box(0, 0, 15, 7)),
        ((50, 35, 14, 8), Box(50, 35, 60, 40)),
        ((10.6, 5.2, 0.2, 0.2), Box(10, 5, 11, 6)),
    ],
)
def test_a_box_holds_the_pixels_whose_centre_it_holds(given_box: tuple[float, ...], expected: Box) -> None:
    assert box(*given_box) == expected


@given(st.integers(0, 59), st.integers(0, 39), st.data())
def test_the_box_of_a_mask_is_its_own_pixels(x: int, y: int, data: st.DataObject) -> None:
    width, height = data.draw(st.integers(1, 60 - x)), data.draw(st.integers(1, 40 - y))
    found = box(x, y, width, height)
    assert found == Box(x, y, x + width, y + height)
    labels = np.zeros(SIZE, bool)
    labels[found.inside] = True
    assert labels.sum() == width * height == found.area


@pytest.mark.parametrize(
    ("given_box", "expected"),
    [
        ((60, 5, 5, 5), r"x 60, y 5, width 5, height 5\) lies outside the picture of 60 x 40: give pixels"),
        ((-6, 5, 5, 5), "lies outside the picture of 60 x 40"),
        ((40, 5, 40, 5), "reaches from x 40 to 80, beyond the picture of 60 x 40: give pixels of the picture after"),
        ((10, 900, 5, 5), "reaches from y 900 to 905, beyond the picture of 60 x 40"),
    ],
)
def test_a_box_outside_is_refused(given_box: tuple[float, ...], expected: str) -> None:
    with pytest.raises(InvalidPrompt, match=f"^its box .*{expected}"):
        box(*given_box)


def test_polygons_lie_where_cocos_library_puts_them() -> None:
    shapes: list[list[float]] = [[5, 5, 25.5, 5, 25, 30.25, 5, 30], [40, 10, 55, 10, 47, 35]]
    expected = np.any(coco.decode(coco.frPyObjects(shapes, *SIZE)), axis=2)
    np.testing.assert_array_equal(polygons(*shapes), expected)
    assert polygons(*shapes)[20, 10] and polygons(*shapes)[15, 47] and not polygons(*shapes)[20, 35]


def test_a_polygon_is_cut_at_the_border() -> None:
    np.testing.assert_array_equal(polygons([-5, 10, 64, 10, 64, 20, -5, 20]), polygons([0, 10, 60, 10, 60, 20, 0, 20]))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ([0, 0, 500, 0, 500, 30], r"its polygons\[0\] reaches from x 0 to 500, beyond the picture of 60 x 40"),
        ([0, 0, 10, -30, 10, 5], r"its polygons\[0\] reaches from y -30 to 5"),
        ([10.1, 10.1, 10.2, 10.1, 10.2, 10.2], "its polygons cover no pixel of the picture"),
    ],
)
def test_polygons_outside_or_without_a_pixel_are_refused(shape: list[float], expected: str) -> None:
    with pytest.raises(InvalidPrompt, match=f"^{expected}"):
        polygons(shape)


def test_an_outline_that_would_take_all_memory_is_refused() -> None:
    with pytest.raises(
        InvalidPrompt, match=r"^its polygons\[0\] is 59,000,0\d\d pixels long, as no outline is: simplify"
    ):
        polygons([0, 0, 59, 1] * 500_000)
    assert polygons([5, 5, 25, 5, 25, 25] * 21).any()


def test_run_lengths_of_another_size_are_refused() -> None:
    given_rle = PromptObject.of_rle(1, {"size": [60, 40], "counts": [2400]})
    with pytest.raises(InvalidPrompt, match=r"^its rle is 40 x 60, the video 60 x 40 \(width x height.*video's size"):
        mask_of_shape(given_rle, SIZE)
