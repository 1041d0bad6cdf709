"""Statistics follow from the probabilities."""

import math

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model.result import FrameResult
from tests.model.builders import (
    HEIGHT,
    WIDTH,
    ScriptedNetwork,
    clip,
    follow,
    logits_for,
    prompt,
    segmenter,
    wavy_logits,
)


def probabilities_and_result(
    seed: int = 0, size: tuple[int, int] = (61, 95)
) -> tuple[NDArray[np.float64], FrameResult]:
    """A frame in which the network is sure here and unsure there; the size needs padding."""
    frames, labels = clip(2, height=size[0], width=size[1])
    said = wavy_logits(3, size, seed)
    result = follow(segmenter(ScriptedNetwork([said])), frames, {0: prompt(labels[0])})[1]
    assert result.probabilities is not None
    np.testing.assert_allclose(result.probabilities, said.softmax(0).numpy(), atol=1e-6)
    return result.probabilities.astype(np.float64), result


def uncertainty_map(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    ordered = np.sort(probabilities, axis=0)
    return np.asarray(np.exp(1 - ordered[-1] / (ordered[-2] + 1e-8)))


def nearest_rank(values: NDArray[np.float64], share: float) -> float:
    return float(np.sort(values, axis=None)[math.ceil(share * values.size) - 1])


@pytest.mark.parametrize("seed", range(3))
def test_statistics_follow_from_the_probabilities(seed: int) -> None:
    probabilities, result = probabilities_and_result(seed)
    u = uncertainty_map(probabilities)
    ordered = np.sort(probabilities, axis=0)
    found = result.statistics
    assert found is not None
    assert found.uncertainty_mean == pytest.approx(u.mean(), abs=1e-5)
    assert found.uncertainty_p50 == pytest.approx(nearest_rank(u, 0.5), abs=1e-5)
    assert found.uncertainty_p95 == pytest.approx(nearest_rank(u, 0.95), abs=1e-5)
    assert found.uncertainty_max == pytest.approx(u.max(), abs=1e-5)
    assert found.uncertain_fraction == pytest.approx((u > 0.5).mean(), abs=1e-3)
    assert found.margin == pytest.approx((ordered[-1] - ordered[-2]).mean(), abs=1e-5)
    entropy = -(probabilities * np.log(np.maximum(probabilities, 1e-300))).sum(0).mean()
    assert found.entropy == pytest.approx(entropy, abs=1e-5)
    assert 0 < found.uncertainty_p50 < found.uncertainty_p95 < found.uncertainty_max <= 1


@pytest.mark.parametrize("seed", range(3))
def test_object_statistics_follow_from_the_probabilities(seed: int) -> None:
    probabilities, result = probabilities_and_result(seed)
    u, mask_of = uncertainty_map(probabilities), probabilities.argmax(0)
    radius = math.ceil(0.008 * math.hypot(*u.shape))
    window = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    for found in result.objects:
        mask = mask_of == found.object_id
        assert mask.any()
        grown = cv2.dilate(mask.astype(np.uint8), window, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
        assert grown.sum() > mask.sum()
        assert found.score == pytest.approx(probabilities[found.object_id][mask].mean(), abs=1e-5)
        assert found.uncertainty == pytest.approx(u[grown].mean(), abs=1e-5)


def test_a_sure_network_reports_uncertainty_near_zero() -> None:
    frames, labels = clip(2)
    used = ScriptedNetwork([logits_for(labels[1], (1, 2), strength=16.0)])
    result = follow(segmenter(used), frames, {0: prompt(labels[0])})[1]
    assert result.statistics is not None
    assert result.statistics.uncertainty_max < 1e-6
    assert result.statistics.margin > 0.999
    assert result.statistics.entropy < 1e-3
    assert all(thing.score is not None and thing.score > 0.999 for thing in result.objects)


def test_a_clueless_network_reports_uncertainty_one() -> None:
    frames, labels = clip(2)
    used = ScriptedNetwork([torch.zeros(3, HEIGHT, WIDTH)])
    result = follow(segmenter(used), frames, {0: prompt(labels[0])})[1]
    assert result.statistics is not None
    assert result.statistics.uncertainty_mean == pytest.approx(1, abs=1e-6)
    assert result.statistics.uncertain_fraction == 1
    assert result.statistics.margin == pytest.approx(0, abs=1e-6)
    assert result.statistics.entropy == pytest.approx(math.log(3), abs=1e-5)


def test_probabilities_come_only_when_asked_for() -> None:
    frames, labels = clip(2)
    runner = segmenter()
    runner.step(frames[0], prompt(labels[0]))
    assert runner.step(frames[1]).probabilities is None
