"""Reading the bank: exact softmax attention in bounded memory, and how much each row was used."""

import math

import pytest
import torch
from torch import Tensor

from model.matcher import WORKSPACE_ELEMENTS, read
from model.nearby import Near
from model.slots import Rows
from tests.model.recorders import Operations


def scene(
    rows: int = 300, positions: int = 90, key: int = 16, value: int = 6, sharpness: float = 3, channels: int = 1
) -> tuple[Rows, Tensor]:
    """A memory and queries."""
    generator = torch.Generator().manual_seed(0)
    keys = sharpness * torch.randn(channels, rows, key, generator=generator)
    values = torch.randn(channels, rows, value, generator=generator)
    return Rows(keys, values), torch.randn(positions, key, generator=generator)


def dense(memory: Rows, query: Tensor) -> tuple[Tensor, Tensor]:
    """(read-out [K, P, V], weights [K, P, M]) with the whole attention at once, in float64."""
    scores = query.double() @ memory.key.double().mT / math.sqrt(query.shape[1])
    if memory.empty is not None:
        scores[memory.empty[:, None].expand_as(scores)] = -math.inf
    weights = torch.softmax(scores, dim=2)
    return weights @ memory.value.double(), weights


@pytest.mark.parametrize("channels", [1, 3])
def test_readout_equals_dense_softmax_attention(channels: int) -> None:
    memory, query = scene(channels=channels)
    readout, use = read(memory, query)
    assert (readout.shape, use.shape) == ((channels, 90, 6), (channels, 300))
    assert torch.allclose(readout.double(), dense(memory, query)[0], atol=1e-5)


@pytest.mark.parametrize("workspace", [700, WORKSPACE_ELEMENTS])
def test_channels_that_are_read_together_are_read_as_alone(workspace: int) -> None:
    """Empty slots are nowhere, whatever stands in them, and are not used."""
    memory, query = scene(channels=3)
    filled = [300, 120, 1]
    empty = torch.arange(300) >= torch.tensor(filled)[:, None]
    memory.key[empty] = 1e3
    readout, use = read(memory._replace(empty=empty), query, workspace=workspace)
    for channel, end in enumerate(filled):
        alone = read(Rows(*(x[channel : channel + 1, :end] for x in memory[:2])), query)
        assert torch.allclose(readout[channel], alone[0][0], atol=1e-6)
        assert torch.allclose(use[channel, :end], alone[1][0], atol=1e-6)
        assert not use[channel, end:].any()


def beside(scene_memory: Rows, size: tuple[int, int], strength: float) -> Near:
    """Rows of a frame of that size, of as many channels."""
    generator = torch.Generator().manual_seed(1)
    shape = (len(scene_memory.key), size[0] * size[1])
    rows = Rows(torch.randn(*shape, 16, generator=generator), torch.randn(*shape, 6, generator=generator))
    return Near(rows, size, torch.tensor([strength]))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("workspace", [700, WORKSPACE_ELEMENTS])
def test_what_is_near_is_read_beside_the_memory_the_more_the_nearer_it_lies(channels: int, workspace: int) -> None:
    memory, query = scene(channels=channels)
    near = beside(memory, (9, 10), strength=2.0)
    readout, use = read(memory, query, near=near, workspace=workspace)
    place = torch.cartesian_prod(torch.arange(9.0), torch.arange(10.0)).double()
    bell = math.expm1(2.0) * torch.exp(-torch.cdist(place, place).square() / (2 * 1.5**2))
    bank, around = (torch.exp(query.double() @ x.key.double().mT / 4) for x in (memory, near.rows))
    around = around * bell
    whole = bank.sum(dim=2) + around.sum(dim=2)
    expected = (bank @ memory.value.double() + around @ near.rows.value.double()) / whole[..., None]
    torch.testing.assert_close(readout.double(), expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(use.double(), torch.log1p((bank / whole[..., None] > 1e-3).sum(dim=1).double()))


def test_what_counts_for_nothing_and_who_has_nothing_near_is_read_as_without() -> None:
    memory, query = scene(channels=2)
    expected = read(memory, query)
    near = beside(memory, (9, 10), strength=0.0)
    torch.testing.assert_close(read(memory, query, near=near), expected)
    near = beside(memory, (9, 10), strength=6.0)
    nowhere = torch.tensor([True, False])[:, None].expand(2, 90)
    readout, use = read(memory, query, near=near._replace(rows=near.rows._replace(empty=nowhere)))
    torch.testing.assert_close((readout[0], use[0]), (expected[0][0], expected[1][0]))
    assert not torch.allclose(readout[1], expected[0][1], atol=0.1)


@pytest.mark.parametrize("valid_weight", [1e-3, 1e-4, 0.05])
def test_use_is_the_logarithm_of_one_plus_the_positions_above_the_valid_weight(valid_weight: float) -> None:
    memory, query = scene(sharpness=20)
    _, use = read(memory, query, valid_weight=valid_weight)
    positions = (dense(memory, query)[1] > valid_weight).sum(dim=1)
    assert 0 < int((positions == 0).sum()) < 300
    assert torch.allclose(use, torch.log1p(positions.float()))


def test_the_valid_weight_is_one_in_a_thousand_by_default() -> None:
    memory, query = scene()
    assert torch.equal(read(memory, query)[1], read(memory, query, valid_weight=1e-3)[1])
    assert not torch.equal(read(memory, query)[1], read(memory, query, valid_weight=1e-4)[1])


@pytest.mark.parametrize("workspace", [1, 300, 900, 1000, 27_000])
def test_result_does_not_depend_on_the_block_size(workspace: int) -> None:
    memory, query = scene()
    readout, use = read(memory, query)
    blocked, blocked_use = read(memory, query, workspace=workspace)
    assert torch.allclose(blocked, readout, atol=1e-6)
    assert torch.allclose(blocked_use, use, atol=1e-6)


@pytest.mark.parametrize("rows", [500, 2000])
def test_no_intermediate_is_larger_than_the_workspace(rows: int) -> None:
    memory, query = scene(rows=rows, positions=700, key=4, value=4)
    workspace = 8000
    with Operations() as operations:
        read(memory, query, workspace=workspace)
    assert rows * 700 > 40 * workspace
    assert operations.largest <= workspace


def test_the_default_workspace_bounds_a_long_videos_read() -> None:
    memory, query = scene(rows=20_000, positions=500, key=4, value=4)
    with Operations() as operations:
        read(memory, query)
    assert operations.largest <= WORKSPACE_ELEMENTS < 20_000 * 500


def test_reading_writes_nothing() -> None:
    memory, query = scene()
    before = [memory.key.clone(), memory.value.clone(), query.clone()]
    read(memory, query)
    assert all(torch.equal(a, b) for a, b in zip(before, [memory.key, memory.value, query], strict=True))


def test_gradients_reach_the_query_and_the_memory() -> None:
    memory, query = scene(rows=20, positions=9)
    leaves = [x.requires_grad_() for x in (memory.key, memory.value, query)]
    weight = torch.randn(9, 6)
    (read(memory, query, workspace=60)[0] * weight).sum().backward()
    ours = [leaf.grad for leaf in leaves]
    expected = torch.autograd.grad((dense(memory, query)[0] * weight).sum(), leaves)
    for mine, wanted in zip(ours, expected, strict=True):
        assert mine is not None
        assert torch.allclose(mine, wanted.float(), atol=1e-5)


def test_softmax_is_float32_also_for_half_precision_inputs() -> None:
    keys = torch.zeros(1, 897, 8, dtype=torch.bfloat16)
    memory = Rows(keys, torch.ones(1, 897, 3, dtype=torch.bfloat16))
    # Every weight is 1/897 = 0.0011148, which bfloat16 rounds to 0.0011139, as it does the valid weight.
    readout, use = read(memory, torch.ones(2, 8, dtype=torch.bfloat16), valid_weight=0.001114)
    assert readout.dtype == torch.bfloat16
    assert use.dtype == torch.float32
    assert use[0].tolist() == pytest.approx([math.log(3)] * 897)
    assert torch.allclose(readout.float(), torch.ones(1, 2, 3), atol=1e-2)
    memory, query = scene()
    half = read(Rows(memory.key.bfloat16(), memory.value.bfloat16()), query.bfloat16())[0]
    assert float((half.float() - read(memory, query)[0]).abs().mean()) < 0.05


def test_one_stored_row_is_read_by_every_position() -> None:
    memory, query = scene(rows=1, positions=5)
    readout, use = read(memory, query)
    assert torch.allclose(readout, memory.value.expand(1, 5, 6))
    assert use[0].tolist() == pytest.approx([math.log(6)])
