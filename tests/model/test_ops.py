"""Small tensor operations: padding, one-hot, logit, and the segment mean that every merge uses."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from model.ops import (
    Padding,
    cat_channels,
    crop,
    logit,
    matrix_mean,
    one_hot,
    pad,
    padding_to_multiple,
    segment_mean,
    top2,
    top2_at_once,
    upsample2,
    window_max,
    window_mean,
)
from tests.model.recorders import Operations

sides = st.integers(1, 70)


@given(height=sides, width=sides)
def test_padding_reaches_the_next_multiple_with_the_smaller_half_on_the_low_side(height: int, width: int) -> None:
    padding = padding_to_multiple(height, width)
    for low, high, side in ((padding.top, padding.bottom, height), (padding.left, padding.right, width)):
        assert (side + low + high) % 16 == 0
        assert 0 <= low + high < 16
        assert low == (low + high) // 2


def test_padding_of_the_golden_odd_size() -> None:
    assert padding_to_multiple(101, 151) == Padding(left=4, right=5, top=5, bottom=6)


@given(height=sides, width=sides)
def test_crop_undoes_pad(height: int, width: int) -> None:
    x = torch.rand(2, height, width)
    padding = padding_to_multiple(height, width)
    padded = pad(x, padding)
    assert padded.shape[-2] % 16 == padded.shape[-1] % 16 == 0
    assert torch.equal(crop(padded, padding), x)
    assert float(padded.sum()) == pytest.approx(float(x.sum()), rel=1e-5)


def test_one_hot_takes_any_ids_in_the_order_asked_for() -> None:
    labels = torch.tensor([[0, 3], [255, 300]])
    planes = one_hot(labels, (0, 300, 3))
    assert planes.dtype == torch.float32
    assert planes.tolist() == [[[1, 0], [0, 0]], [[0, 0], [0, 1]], [[0, 1], [0, 0]]]


def test_logit_is_finite_at_certainty_and_inverse_to_sigmoid() -> None:
    certain = logit(torch.tensor([0.0, 1.0]))
    assert torch.isfinite(certain).all()
    assert torch.sigmoid(certain[0]).item() == pytest.approx(1e-7, rel=1e-3)
    assert certain[1].item() == pytest.approx(-certain[0].item(), abs=0.3)
    p = torch.linspace(0.01, 0.99, 50)
    assert torch.allclose(torch.sigmoid(logit(p)), p, atol=1e-6)


@given(seed=st.integers(0, 10_000), entries=st.integers(2, 7), levels=st.sampled_from((2, 1000)))
def test_top2_are_the_two_largest_also_at_ties(seed: int, entries: int, levels: int) -> None:
    x = torch.randint(0, levels, (3, entries, 4), generator=torch.Generator().manual_seed(seed)).float()
    for best, second in (top2(x, dim=1), top2_at_once(x, dim=1)):
        assert torch.equal(torch.stack([best, second], dim=1), x.topk(2, dim=1).values)


windows = st.sampled_from((1, 3, 5, 7, 17, 31))


@given(seed=st.integers(0, 10_000), height=st.integers(1, 40), width=st.integers(1, 40), window=windows)
def test_window_max_is_that_of_the_whole_window(seed: int, height: int, width: int, window: int) -> None:
    x = torch.rand(2, 1, height, width, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(window_max(x, window), F.max_pool2d(x, window, 1, window // 2))
    assert torch.equal(window_max(x[0, 0], window), window_max(x, window)[0, 0])


@given(seed=st.integers(0, 10_000), height=st.integers(1, 20), width=st.integers(1, 20), window=windows)
def test_window_mean_is_that_of_the_whole_window(seed: int, height: int, width: int, window: int) -> None:
    x = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(window_mean(x, window), F.avg_pool2d(x, window, 1, window // 2), atol=1e-6, rtol=1e-5)


def test_window_mean_is_in_float32_under_autocast() -> None:
    x = torch.rand(1, 4, 9, 9, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        inside = window_mean(x, 7)
    assert torch.equal(inside, window_mean(x, 7))


def test_cat_channels_undoes_a_split() -> None:
    x = torch.rand(2, 5, 3)
    assert torch.equal(cat_channels(x.split(2, dim=1)), x)
    assert torch.equal(cat_channels([x]), x)


def test_upsample2_doubles_both_sides_with_pixel_centres_aligned() -> None:
    ramp = torch.arange(4.0).view(1, 1, 1, 4)
    assert upsample2(ramp).shape == (1, 1, 2, 8)
    assert upsample2(ramp)[0, 0, 0].tolist() == [0.0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.0]


SegmentMean = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def loop_mean(values: Tensor, index: Tensor) -> dict[int, Tensor]:
    """Mean of the rows of each index, one at a time."""
    return {int(target): values[index == target].double().mean(dim=0) for target in set(index.tolist())}


def random_rows(seed: int, rows: int, targets: int) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    values = torch.from_numpy(rng.standard_normal((rows, 5)).astype(np.float32))
    return values, torch.from_numpy(rng.integers(0, targets, rows))


@pytest.mark.parametrize("mean_of", [segment_mean, matrix_mean])
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 60), targets=st.integers(1, 40))
def test_segment_mean_equals_a_plain_loop(mean_of: SegmentMean, seed: int, rows: int, targets: int) -> None:
    values, index = random_rows(seed, 2 * rows, targets)
    mean, count = mean_of(values.unflatten(0, (2, rows)), index.unflatten(0, (2, rows)))
    for channel in range(2):
        own, part = index.view(2, rows)[channel], values.view(2, rows, 5)[channel]
        expected = loop_mean(part, own)
        for number, target in enumerate(own.tolist()):
            assert torch.allclose(mean[channel, number].double(), expected[target], atol=1e-6)
            assert float(count[channel, number]) == int((own == target).sum())
            assert torch.equal(mean[channel, number], mean[channel, own.tolist().index(target)])


@pytest.mark.parametrize("mean_of", [segment_mean, matrix_mean])
def test_segment_mean_of_nothing_is_nothing(mean_of: SegmentMean) -> None:
    mean, count = mean_of(torch.empty(1, 0, 5), torch.empty(1, 0, dtype=torch.int64))
    assert (mean.shape, count.shape) == ((1, 0, 5), (1, 0))


def test_segment_mean_touches_only_the_targets_that_are_hit() -> None:
    values, index = random_rows(1, 40, 1_000_000)
    with Operations() as operations:
        segment_mean(values[None], index[None])
    assert operations.largest <= values.numel()


def test_the_matrix_of_equal_indices_is_never_held_as_a_whole() -> None:
    values, index = random_rows(1, 6000, 50)
    with Operations() as operations:
        matrix_mean(values[None], index[None])
    assert operations.largest <= 1 << 23 < 6000**2


@pytest.mark.scatter
@pytest.mark.parametrize(("rows", "targets"), [(1, 1), (60, 7), (500, 20_000)])
def test_torch_scatter_gives_the_same_mean(rows: int, targets: int) -> None:
    values, index = random_rows(2, 2 * rows, targets)
    values, index = values.view(2, rows, 5), index.view(2, rows)
    for own, scattered in zip(segment_mean(values, index), segment_mean(values, index, "torch-scatter"), strict=True):
        assert torch.allclose(own, scattered, atol=1e-6)
