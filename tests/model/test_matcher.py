"""Reading the bank: exact softmax attention in bounded memory, and how much each row was used."""

import math

import pytest
import torch
from torch import Tensor

from model.bank import Rows
from model.matcher import WORKSPACE_ELEMENTS, read
from tests.model.recorders import Operations


def scene(
    rows: int = 300, positions: int = 90, key: int = 16, value: int = 6, sharpness: float = 3
) -> tuple[Rows, Tensor]:
    """A memory and queries."""
    generator = torch.Generator().manual_seed(0)
    keys = sharpness * torch.randn(rows, key, generator=generator)
    return Rows(keys, torch.randn(rows, value, generator=generator)), torch.randn(positions, key, generator=generator)


def dense(memory: Rows, query: Tensor) -> tuple[Tensor, Tensor]:
    """(read-out [P, V], weights [P, M]) with the whole attention at once, in float64."""
    scores = query.double() @ memory.key.double().T / math.sqrt(query.shape[1])
    weights = torch.softmax(scores, dim=1)
    return weights @ memory.value.double(), weights


def test_readout_equals_dense_softmax_attention() -> None:
    memory, query = scene()
    readout, _ = read(memory, query)
    assert readout.shape == (90, 6)
    assert torch.allclose(readout.double(), dense(memory, query)[0], atol=1e-5)


@pytest.mark.parametrize("valid_weight", [1e-3, 1e-4, 0.05])
def test_use_is_the_logarithm_of_one_plus_the_positions_above_the_valid_weight(valid_weight: float) -> None:
    memory, query = scene(sharpness=20)
    _, use = read(memory, query, valid_weight=valid_weight)
    positions = (dense(memory, query)[1] > valid_weight).sum(dim=0)
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
    assert all(torch.equal(a, b) for a, b in zip(before, [*memory, query], strict=True))


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
    keys = torch.zeros(897, 8, dtype=torch.bfloat16)
    memory = Rows(keys, torch.ones(897, 3, dtype=torch.bfloat16))
    # Every weight is 1/897 = 0.0011148, which bfloat16 rounds to 0.0011139, as it does the valid weight.
    readout, use = read(memory, torch.ones(2, 8, dtype=torch.bfloat16), valid_weight=0.001114)
    assert readout.dtype == torch.bfloat16
    assert use.dtype == torch.float32
    assert use.tolist() == pytest.approx([math.log(3)] * 897)
    assert torch.allclose(readout.float(), torch.ones(2, 3), atol=1e-2)
    memory, query = scene()
    half = read(Rows(memory.key.bfloat16(), memory.value.bfloat16()), query.bfloat16())[0]
    assert float((half.float() - read(memory, query)[0]).abs().mean()) < 0.05


def test_one_stored_row_is_read_by_every_position() -> None:
    memory, query = scene(rows=1, positions=5)
    readout, use = read(memory, query)
    assert torch.allclose(readout, memory.value.expand(5, 6))
    assert use.tolist() == pytest.approx([math.log(6)])
