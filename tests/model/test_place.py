"""Where channels were, and what the decoder is told of it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from model.place import HINT_CHANNELS, Place, hint, seen
from tests.model.builders import box

SIZE = (64, 96)


def masks(*boxes: tuple[int, int, int, int], size: tuple[int, int] = SIZE) -> Tensor:
    """[N, H, W]: a box of ones for each (top, bottom, left, right)."""
    return torch.stack([torch.from_numpy(box(*one, size=size)).float() for one in boxes])


def told(*frames: Tensor) -> Tensor:
    """The hint after some frames of the same channels."""
    place = None
    for frame in frames:
        place = seen(frame, place)
    assert place is not None
    return hint(place)


def test_a_hint_is_where_the_channel_was() -> None:
    found = told(masks((16, 32, 24, 48)))
    assert found.shape == (1, HINT_CHANNELS, 8, 12)
    there = torch.zeros(8, 12, dtype=torch.bool)
    there[2:4, 3:6] = True
    torch.testing.assert_close(found[0, 0] > 0.01, there)
    assert float(found[0, 0][there].min()) == pytest.approx(float(found.max()))
    near, known = found[0, 1], found[0, 2]
    assert bool((near[there] > 0).all())
    assert float(near[:, 9:].max()) < 0.01  # more than three positions off
    assert float(known.min()) == float(known.max()) > 0


def test_a_hint_goes_on_as_the_centre_moved() -> None:
    """By 16 pixels down and 8 to the left: two positions and one."""
    moving = [masks((8, 24, 48, 72)), masks((24, 40, 40, 64))]
    torch.testing.assert_close(told(*moving)[:, 0], told(masks((40, 56, 32, 56)))[:, 0], atol=1e-4, rtol=0)


def test_what_is_nowhere_has_no_hint() -> None:
    nothing = 0.4 * masks((16, 32, 24, 48))
    assert not bool(told(nothing).any())
    assert not bool(told(masks((16, 32, 24, 48)), nothing).any())


def test_what_comes_back_is_not_taken_for_moving() -> None:
    back = masks((0, 16, 0, 16))
    torch.testing.assert_close(told(masks((32, 48, 64, 80)), torch.zeros_like(back), back), told(back))


def test_another_picture_size_begins_anew() -> None:
    small = masks((0, 16, 0, 16), size=(32, 32))
    torch.testing.assert_close(told(masks((32, 48, 64, 80)), small), told(small))


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 4))
def test_hints_fit_any_picture_and_are_finite(height: int, width: int, channels: int) -> None:
    probability = torch.rand(channels, height, width, generator=torch.Generator().manual_seed(height))
    found = told(probability, probability.flip(2))
    assert found.shape == (channels, HINT_CHANNELS, 2 * -(-height // 16), 2 * -(-width // 16))
    assert bool(torch.isfinite(found).all())


def test_each_channel_is_told_of_itself_alone() -> None:
    one, other = (8, 24, 48, 72), (24, 40, 40, 64)
    together = told(masks(one, other), masks(other, one))
    torch.testing.assert_close(together[:1], told(masks(one), masks(other)))
    torch.testing.assert_close(together[1:], told(masks(other), masks(one)))


def test_selected_channels_keep_their_places_and_new_ones_have_none() -> None:
    place = seen(masks((8, 24, 48, 72), (24, 40, 40, 64)))
    found = hint(place.select(torch.tensor([1, -1, 0])))
    torch.testing.assert_close(found[[0, 2]], hint(place)[[1, 0]])
    assert not bool(found[1].any())


def test_no_gradient_goes_back() -> None:
    probability = torch.rand(2, *SIZE, requires_grad=True)
    place: Place = seen(probability, seen(probability))
    assert not hint(place).requires_grad
