"""What is recorded of a block: operations, arithmetic, waits, and in which stage of a frame they lie."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from jobs.benchmarks.recorder import OTHER, STAGES, Stage, recorded
from jobs.benchmarks.setup import Setup, Steps

CPU = torch.device("cpu")
X = torch.arange(12.0).reshape(3, 4)
MASK = X > 5


def of(block: Callable[[], object]) -> Stage:
    """Of a block that is no part of the model."""
    with recorded(CPU) as stages:
        block()
    assert set(stages) <= {OTHER}
    return stages.get(OTHER, Stage())


def filled() -> None:
    X.clone()[MASK] = 0


@pytest.mark.parametrize(
    ("block", "waits"),
    [
        (lambda: X + 1, 0),
        (lambda: X[torch.tensor([0, 2])], 0),
        (lambda: X.masked_fill(MASK, 0), 0),
        (filled, 0),
        (lambda: bool(MASK.any()), 1),
        (lambda: int(X.sum()), 1),
        (lambda: X.sum().item(), 1),
        (lambda: X.nonzero(), 1),
        (lambda: X[MASK], 1),
        (lambda: X.unique(), 1),
        (lambda: X.cpu().numpy(), 1),
        (lambda: X.flatten().tolist(), 1),
    ],
)
def test_a_host_waits_for_what_it_must_know(block: Callable[[], object], waits: int) -> None:
    assert of(block).waits == waits


def test_views_and_empty_tensors_are_no_operations() -> None:
    assert of(lambda: (X.T, X[0], X.flatten(), X.unsqueeze(0), torch.empty(3))).operations == 0
    assert of(lambda: (X + 1).mul_(2)).operations == 2


def test_multiply_adds_are_two() -> None:
    assert of(lambda: X @ X.T).flop == 2 * 3 * 4 * 3


@pytest.fixture(scope="module")
def run(setup: Setup) -> Steps:
    run = Steps(setup, setup.clip(2), setup.segmenter())
    for _ in range(2):
        run.step()
    return run


def test_every_stage_of_a_frame_is_found_and_nothing_lies_elsewhere(run: Steps) -> None:
    with recorded(CPU) as stages:
        run.step()
    assert {name for name, stage in stages.items() if stage.operations} == set(STAGES)
    assert all(stages[name].seconds > 0 for name in STAGES)
    for name in ("trunk", "read", "decode", "refine", "memorize", "bank"):
        assert stages[name].flop > 0


def test_arithmetic_is_what_torch_counts(run: Steps) -> None:
    state = run.segmenter.state()
    with recorded(CPU) as stages:
        run.step()
    recorded_labels = run.result.labels
    run.segmenter.restore(state)
    run.spent.pop()  # the same frame again
    with FlopCounterMode(display=False) as counter:
        run.step()
    assert sum(stages.values(), Stage()).flop == counter.get_total_flops()
    assert np.array_equal(run.result.labels, recorded_labels)
