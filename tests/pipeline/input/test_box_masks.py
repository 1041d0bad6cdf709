"""Masks out of boxes: the object where it can be told from its ground, else a shape of the box that says so."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.input.box_masks import Improve, improved_by, mask_of_box
from pipeline.input.frames import Rgb
from pipeline.input.shapes import Box, Mask
from pipeline.input.weights import load_network

SIZE = (90, 120)
BOX = Box(40, 20, 80, 70)


def scene(*, seed: int = 0) -> tuple[Rgb, NDArray[np.bool_]]:
    """A red triangle on a green ground, both noisy, and the pixels of the triangle; it fills half of BOX."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    triangle = (y >= 20) & (y < 70) & (np.abs(x - 59.5) <= (y - 19) * 0.4)
    rgb = np.where(triangle[..., None], (200, 40, 40), (40, 150, 60))
    noise = np.random.default_rng(seed).normal(0, 12, (*SIZE, 3))
    return np.clip(rgb + noise, 0, 255).astype(np.uint8), triangle


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_grabcut_finds_what_stands_out() -> None:
    rgb, triangle = scene()
    found = mask_of_box(BOX, SIZE, "grabcut", rgb)
    assert not found.approximate
    assert overlap(found.mask, triangle) > 0.95


def test_a_large_picture_is_looked_at_in_small_and_the_mask_is_its_own_size() -> None:
    rgb, triangle = scene()
    rgb, triangle = rgb.repeat(12, axis=0).repeat(12, axis=1), triangle.repeat(12, axis=0).repeat(12, axis=1)
    found = mask_of_box(Box(480, 240, 960, 840), (1080, 1440), "grabcut", rgb)
    assert not found.approximate
    assert found.mask.shape == (1080, 1440) and overlap(found.mask, triangle) > 0.93


def test_the_same_picture_gives_the_same_mask() -> None:
    rgb, _ = scene()
    first = mask_of_box(BOX, SIZE, "grabcut", rgb).mask
    mask_of_box(Box(10, 10, 50, 50), SIZE, "grabcut", scene(seed=5)[0])  # leaves its random numbers behind
    np.testing.assert_array_equal(mask_of_box(BOX, SIZE, "grabcut", rgb).mask, first)


def two_stripes() -> Rgb:
    rgb, _ = scene()
    rgb[:] = (40, 150, 60)
    rgb[25:65, 42:50] = rgb[25:65, 70:78] = (200, 40, 40)
    return rgb


def speck() -> Rgb:
    rgb, _ = scene()
    rgb[:] = (40, 150, 60)
    rgb[44:48, 58:62] = (200, 40, 40)
    return rgb


def full() -> Rgb:
    rgb, _ = scene()
    rgb[:] = (40, 150, 60)
    rgb[BOX.inside] = (200, 40, 40)
    return rgb


@pytest.mark.parametrize("picture", [two_stripes, speck, full, lambda: np.zeros((*SIZE, 3), np.uint8)])
def test_what_cannot_be_the_object_gives_way_to_an_ellipse(picture) -> None:  # type: ignore[no-untyped-def]
    found = mask_of_box(BOX, SIZE, "grabcut", picture())
    assert found.approximate
    np.testing.assert_array_equal(found.mask, mask_of_box(BOX, SIZE, "ellipse", picture()).mask)


@pytest.mark.parametrize("box", [Box(0, 0, 120, 90), Box(5, 5, 6, 6), Box(0, 0, 119, 90), Box(10, 10, 17, 17)])
def test_boxes_with_too_little_in_or_around_them_are_ellipses(box: Box) -> None:
    found = mask_of_box(box, SIZE, "grabcut", scene()[0])
    assert found.approximate and found.mask.any()


def test_the_box_itself_can_be_asked_for() -> None:
    found = mask_of_box(BOX, SIZE, "box", scene()[0])
    assert found.approximate and found.mask.sum() == BOX.area and found.mask[BOX.inside].all()


def test_without_the_picture_the_box_stands_for_what_grabcut_would_find() -> None:
    assert mask_of_box(BOX, SIZE, "grabcut", None).mask.sum() == BOX.area
    assert mask_of_box(BOX, SIZE, "ellipse", None).mask.sum() < BOX.area


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 60), st.integers(1, 40))
def test_an_ellipse_fills_its_box_from_edge_to_edge(left: int, top: int, width: int, height: int) -> None:
    mask = mask_of_box(Box(left, top, left + width, top + height), SIZE, "ellipse", None).mask
    ys, xs = np.nonzero(mask)
    assert xs.min() >= left and xs.max() < left + width and ys.min() >= top and ys.max() < top + height
    assert mask[top + height // 2, left + width // 2]
    inside = mask[top : top + height, left : left + width]
    np.testing.assert_array_equal(inside, inside[::-1, ::-1])
    if width > 8 and height > 8:
        assert 0.7 < inside.mean() < 0.86  # pi / 4


def shrunk_by(pixels: int) -> Improve:
    """An improvement that takes so many rows off the top of the guess, and marks everything outside the box."""

    def improve(rgb: Rgb, guess_hw: Mask, inside_hw: Mask) -> Mask:
        assert rgb.shape[:2] == guess_hw.shape == inside_hw.shape
        better = guess_hw.copy()
        better[: np.flatnonzero(guess_hw.any(axis=1))[0] + pixels] = False
        return better | ~inside_hw

    return improve


def test_an_improvement_counts_inside_the_box() -> None:
    rgb, _ = scene()
    guess = mask_of_box(BOX, SIZE, "grabcut", rgb)
    found = mask_of_box(BOX, SIZE, "network", rgb, shrunk_by(15))
    top = np.flatnonzero(guess.mask.any(axis=1))[0] + 15
    np.testing.assert_array_equal(found.mask[top:], guess.mask[top:])
    assert not found.mask[:top].any() and not found.approximate


def test_an_improvement_that_is_of_another_thing_is_none() -> None:
    rgb, _ = scene()
    guess = mask_of_box(BOX, SIZE, "grabcut", rgb).mask
    np.testing.assert_array_equal(mask_of_box(BOX, SIZE, "network", rgb, shrunk_by(45)).mask, guess)
    nothing = mask_of_box(BOX, SIZE, "network", rgb, lambda _, guess_hw, __: np.zeros_like(guess_hw)).mask
    np.testing.assert_array_equal(nothing, guess)


def test_what_follows_an_ellipse_still_says_so_when_it_is_improved() -> None:
    found = mask_of_box(BOX, SIZE, "network", two_stripes(), shrunk_by(5))
    ellipse = mask_of_box(BOX, SIZE, "ellipse", two_stripes()).mask
    assert found.approximate and 0 < found.mask.sum() < ellipse.sum()


@pytest.mark.parametrize("box", [Box(0, 0, 120, 90), Box(5, 5, 6, 6), Box(0, 0, 1, 90), Box(118, 88, 120, 90)])
def test_any_box_can_be_improved(box: Box) -> None:
    rgb, _ = scene()
    found = mask_of_box(box, SIZE, "network", rgb, lambda _, guess_hw, __: guess_hw)
    np.testing.assert_array_equal(found.mask, mask_of_box(box, SIZE, "grabcut", rgb).mask)


def test_without_a_network_or_the_picture_it_is_what_grabcut_finds() -> None:
    rgb, _ = scene()
    np.testing.assert_array_equal(
        mask_of_box(BOX, SIZE, "network", rgb).mask, mask_of_box(BOX, SIZE, "grabcut", rgb).mask
    )
    assert mask_of_box(BOX, SIZE, "network", None, shrunk_by(5)).mask.sum() == BOX.area


def test_the_network_in_the_box_takes_off_what_grabcut_took_with_it() -> None:
    rgb, triangle = scene()
    rgb.flags.writeable = False  # as frames may be
    guess = triangle.copy()
    guess[20:50, 42:52] = True
    inside = np.zeros(SIZE, bool)
    inside[BOX.inside] = True
    found = improved_by(load_network("lite0-open"))(rgb, guess, inside)
    assert overlap(found & inside, triangle) > overlap(guess, triangle) + 0.03
