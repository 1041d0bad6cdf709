"""A guess that is memorized and read back: nearer to the object, nothing outside, the same for the same."""

import numpy as np
import pytest
import torch
from torch import Tensor

from model import checkpoint
from model.network import AFBURR, untrained
from model.own_memory import settled


@pytest.fixture(scope="module")
def network() -> AFBURR:
    return checkpoint.from_bytes(checkpoint.read_boxed("lite0-open"), "lite0-open").eval()


def scene(height: int = 64, width: int = 80) -> tuple[Tensor, Tensor, Tensor]:
    """A noisy red triangle on a noisy green ground [3, H, W], its pixels [H, W] and those of the box around it."""
    y, x = np.mgrid[:height, :width]
    triangle = (y >= 12) & (y < 52) & (np.abs(x - 39.5) <= (y - 11) * 0.5)
    rgb = np.where(triangle[..., None], (200, 40, 40), (40, 150, 60))
    rgb = rgb + np.random.default_rng(0).normal(0, 12, (height, width, 3))
    inside = (y >= 12) & (y < 52) & (x >= 20) & (x < 60)
    picture = torch.from_numpy(np.clip(rgb, 0, 255).astype(np.uint8)).permute(2, 0, 1)
    return picture, torch.from_numpy(triangle), torch.from_numpy(inside)


def overlap(one: Tensor, other: Tensor) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_what_comes_of_a_box_is_nearer_to_the_object_and_more_rounds_are_nearer_still(network: AFBURR) -> None:
    picture, triangle, inside = scene()
    once, often = (settled(network, picture, inside, inside, side=128, rounds=n) >= 0.5 for n in (1, 4))
    assert overlap(inside, triangle) < overlap(once, triangle) - 0.03 < overlap(often, triangle) - 0.06


def test_nothing_lies_outside_and_it_is_a_probability_of_the_picture_s_size(network: AFBURR) -> None:
    picture, _, inside = scene(61, 83)
    found = settled(network, picture, inside.float(), inside, side=96, rounds=2)
    assert found.shape == (61, 83) and not found[~inside].any()
    assert found.min() >= 0 and 0.5 < found.max() <= 1


def test_the_same_gives_the_same(network: AFBURR) -> None:
    picture, _, inside = scene()
    torch.testing.assert_close(
        *(settled(network, picture, inside, inside, side=64, rounds=2) for _ in range(2)), rtol=0, atol=0
    )


def test_a_network_without_a_layer_for_hints_does_it_too() -> None:
    picture, _, inside = scene()
    found = settled(untrained("resnet50"), picture, inside, inside, side=32, rounds=1)
    assert found.shape == inside.shape and bool(torch.isfinite(found).all())
