"""The ambiguity map U, what is reported of it, and the confidence loss."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from model.uncertainty import (
    CONFIDENCE_WEIGHT,
    ambiguity,
    confidence_loss,
    frame_statistics,
    object_uncertainty,
    object_values,
    percentiles,
    uncertainty_loss,
)


def probabilities(seed: int, channels: int, *, sharpness: float = 3.0, size: tuple[int, int] = (6, 7)) -> Tensor:
    """[K, h, w] that sum to one."""
    generator = torch.Generator().manual_seed(seed)
    return torch.softmax(sharpness * torch.randn(channels, *size, generator=generator), dim=0)


@given(seed=st.integers(0, 10_000), channels=st.integers(2, 6), sharpness=st.floats(0, 100))
def test_ambiguity_lies_between_zero_and_one(seed: int, channels: int, sharpness: float) -> None:
    u = ambiguity(probabilities(seed, channels, sharpness=sharpness), dim=0)
    assert u.shape == (1, 6, 7)
    assert bool(((u >= 0) & (u <= 1)).all())


@pytest.mark.parametrize("channels", [2, 64, 250])
def test_ambiguity_is_never_above_one_however_small_the_shares(channels: int) -> None:
    """A guard against division by zero makes the quotient of equal shares less than one."""
    p = torch.full((channels, 3, 4), 1 / channels)
    u = ambiguity(p, dim=0)
    assert float(u.max()) == 1
    assert frame_statistics(p, u[0]).uncertainty_max == 1
    assert float(object_uncertainty(u[0], torch.ones(3, 4, dtype=torch.bool))) <= 1


def test_ambiguity_is_one_at_a_tie_and_zero_where_one_channel_wins() -> None:
    p = torch.tensor([[0.5, 0.4, 1.0, 0.75], [0.5, 0.4, 0.0, 0.25], [0.0, 0.2, 0.0, 0.0]])
    assert ambiguity(p, dim=0)[0].tolist() == pytest.approx([1, 1, 0, math.exp(-2)], abs=1e-6)


def test_ambiguity_works_along_any_dimension() -> None:
    p = probabilities(3, 4)
    assert torch.equal(ambiguity(p[None], dim=1)[0], ambiguity(p, dim=0))


def test_ambiguity_goes_below_what_the_softmax_of_a_softmax_can_reach() -> None:
    p = probabilities(0, 3, sharpness=30.0)
    of_softmax = ambiguity(torch.softmax(p, dim=0), dim=0)
    assert float(of_softmax.min()) >= 0.179
    assert float(ambiguity(p, dim=0).min()) < 1e-3


# --- reported statistics -------------------------------------------------------------------------------------------


def test_frame_statistics_of_a_map_made_by_hand() -> None:
    p = torch.tensor([[[0.5, 1.0], [0.75, 0.9]], [[0.5, 0.0], [0.25, 0.1]]])
    u = torch.tensor([[1.0, 0.0], [0.6, 0.2]])
    found = frame_statistics(p, u)
    entropies = [math.log(2), 0.0, 0.5623351446, 0.3250829734]
    assert found.uncertainty_mean == pytest.approx(0.45)
    assert found.uncertainty_p50 == pytest.approx(0.2)
    assert found.uncertainty_p95 == pytest.approx(1.0)
    assert found.uncertainty_max == pytest.approx(1.0)
    assert found.uncertain_fraction == pytest.approx(0.5)
    assert found.margin == pytest.approx((0 + 1 + 0.5 + 0.8) / 4)
    assert found.entropy == pytest.approx(sum(entropies) / 4, rel=1e-5)


@given(seed=st.integers(0, 10_000), count=st.integers(1, 50))
def test_percentiles_of_a_gpu_are_those_of_the_cpu(seed: int, count: int) -> None:
    values = torch.randint(0, 9, (count,), generator=torch.Generator().manual_seed(seed)).float()
    shares = (0.01, 0.5, 0.95, 1.0)
    assert percentiles(values, shares, by_sort=True) == percentiles(values, shares)


def test_values_of_several_objects_are_those_of_each() -> None:
    p = probabilities(3, 4)
    u, masks = ambiguity(p, dim=0)[0], p[1:] > 0.2
    masks[1] = False
    found = object_values(p[1:], masks, u)
    for number in range(3):
        alone = object_values(p[1 + number : 2 + number], masks[number : number + 1], u)
        torch.testing.assert_close(found[number], alone[0], equal_nan=True)
    assert float(found[1, 2]) == pytest.approx(float(u.mean()))


def test_percentiles_are_nearest_ranks() -> None:
    u = torch.arange(1, 101).flip(0).float().view(10, 10) / 100
    found = frame_statistics(probabilities(0, 2, size=(10, 10)), u)
    assert found.uncertainty_p50 == pytest.approx(0.5)
    assert found.uncertainty_p95 == pytest.approx(0.95)


@given(seed=st.integers(0, 10_000), channels=st.integers(2, 5))
def test_frame_statistics_equal_a_plain_recomputation(seed: int, channels: int) -> None:
    p = probabilities(seed, channels)
    u = ambiguity(p, dim=0)[0]
    found = frame_statistics(p, u)
    sorted_p = np.sort(p.numpy().astype(np.float64), axis=0)
    entropy = -(sorted_p * np.log(np.maximum(sorted_p, 1e-300))).sum(axis=0)
    assert found.margin == pytest.approx(float((sorted_p[-1] - sorted_p[-2]).mean()), abs=1e-5)
    assert found.entropy == pytest.approx(float(entropy.mean()), abs=1e-5)
    assert found.uncertainty_mean == pytest.approx(float(u.mean()), abs=1e-6)
    assert found.uncertain_fraction == pytest.approx(float((u.numpy() > 0.5).mean()), abs=1e-6)


def test_statistics_of_a_certain_frame_are_finite() -> None:
    p = torch.zeros(3, 4, 4)
    p[1] = 1
    found = frame_statistics(p, ambiguity(p, dim=0)[0])
    assert (found.uncertainty_max, found.margin, found.entropy) == (0.0, 1.0, 0.0)


def test_object_uncertainty_is_the_mean_over_the_dilated_mask() -> None:
    u = torch.rand(100, 200, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(100, 200, dtype=torch.bool)
    mask[40:50, 60:80] = True
    radius = math.ceil(0.008 * math.hypot(100, 200))
    assert radius == 2
    expected = u[40 - radius : 50 + radius, 60 - radius : 80 + radius].mean()
    assert float(object_uncertainty(u, mask)) == pytest.approx(float(expected), rel=1e-5)


def test_object_uncertainty_at_the_frames_border_counts_no_padding() -> None:
    u = torch.ones(20, 30)
    mask = torch.zeros(20, 30, dtype=torch.bool)
    mask[0, 0] = True
    u[0, 0] = 0
    assert float(object_uncertainty(u, mask)) == pytest.approx(3 / 4)


def test_object_that_is_nowhere_has_the_frames_mean_uncertainty() -> None:
    u = torch.rand(8, 9)
    assert float(object_uncertainty(u, torch.zeros(8, 9, dtype=torch.bool))) == pytest.approx(float(u.mean()))


# --- the confidence loss -------------------------------------------------------------------------------------------


def sigmoid(x: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(1 / (1 + np.exp(-x)))


def softmax(x: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.exp(x) / np.exp(x).sum(axis=1, keepdims=True))


def confidence_by_hand(logits: NDArray[Any]) -> float:
    """U_loss in numpy: softmax over the channels' final probabilities, before they compete."""
    best = np.sort(softmax(sigmoid(logits)), axis=1)[:, ::-1]
    u = np.exp(1 - best[:, 0] / best[:, 1])
    norms = np.sqrt((u**2).sum(axis=(1, 2)))
    return float(norms.mean() / math.sqrt(u[0].size))


def tiny() -> tuple[NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(5)
    return 2 * rng.standard_normal((2, 3, 4, 5)), rng.integers(0, 3, (2, 4, 5))


def test_uncertainty_loss_equals_the_formula_in_numpy() -> None:
    logits, _ = tiny()
    assert float(uncertainty_loss(torch.from_numpy(logits))) == pytest.approx(confidence_by_hand(logits), rel=1e-6)


def test_uncertainty_loss_of_one_pixel() -> None:
    logits = torch.tensor([math.log(0.9 / 0.1), math.log(0.4 / 0.6)]).view(1, 2, 1, 1)
    ratio = math.exp(0.9 - 0.4)  # of the softmax of 0.9 and 0.4
    assert float(uncertainty_loss(logits)) == pytest.approx(math.exp(1 - ratio), rel=1e-5)


def test_uncertainty_loss_stays_in_its_range() -> None:
    certain = torch.tensor([40.0, -40.0]).view(1, 2, 1, 1).expand(1, 2, 3, 3)
    assert float(uncertainty_loss(certain)) == pytest.approx(math.exp(1 - math.e), rel=1e-4)
    assert float(uncertainty_loss(torch.zeros(1, 2, 3, 3))) == pytest.approx(1.0)


def test_confidence_loss_adds_half_the_uncertainty_to_the_cross_entropy() -> None:
    logits, labels = tiny()
    chosen = np.take_along_axis(softmax(logits), labels[:, None], axis=1)
    expected = -np.log(chosen).mean() + 0.5 * confidence_by_hand(logits)
    found = confidence_loss(torch.from_numpy(logits), torch.from_numpy(labels))
    assert CONFIDENCE_WEIGHT == 0.5
    assert float(found.total) == pytest.approx(float(expected), rel=1e-6)


def test_the_parts_of_the_confidence_loss_add_up_with_the_weight() -> None:
    logits, labels = tiny()
    found = confidence_loss(torch.from_numpy(logits), torch.from_numpy(labels), weight=3.0)
    assert float(found.total) == pytest.approx(float(found.cross_entropy) + 3 * float(found.uncertainty))
    assert float(found.uncertainty) == pytest.approx(confidence_by_hand(logits), rel=1e-6)


def test_void_pixels_have_no_part_in_the_cross_entropy() -> None:
    logits, labels = tiny()
    labels[:, :2] = 255
    kept = np.take_along_axis(softmax(logits), np.where(labels == 255, 0, labels)[:, None], axis=1)[:, 0]
    expected = -np.log(kept[labels != 255]).mean()
    found = confidence_loss(torch.from_numpy(logits), torch.from_numpy(labels))
    assert float(found.cross_entropy) == pytest.approx(float(expected), rel=1e-6)


def test_a_frame_that_is_void_all_over_has_no_cross_entropy() -> None:
    logits, labels = tiny()
    found = confidence_loss(torch.from_numpy(logits), torch.from_numpy(np.full_like(labels, 255)))
    assert float(found.cross_entropy) == 0.0


def test_confidence_loss_has_finite_gradients() -> None:
    logits, labels = tiny()
    leaf = torch.from_numpy(logits).requires_grad_()
    confidence_loss(leaf, torch.from_numpy(labels)).total.backward()
    assert leaf.grad is not None
    assert bool(torch.isfinite(leaf.grad).all())
    assert float(leaf.grad.abs().max()) > 0
