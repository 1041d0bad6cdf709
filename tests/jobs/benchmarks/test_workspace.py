"""What is held at a time, not what is taken altogether."""

import torch

from jobs.benchmarks.workspace import workspace_bytes

CPU = torch.device("cpu")
MEGABYTES = 1 << 18
"""Numbers that take one."""


def one_after_the_other() -> None:
    for _ in range(5):
        torch.zeros(4 * MEGABYTES)


def side_by_side() -> None:
    held = [torch.zeros(4 * MEGABYTES) for _ in range(5)]
    del held


def test_what_is_given_back_counts_until_then() -> None:
    assert workspace_bytes(one_after_the_other, CPU) == 4 << 20
    assert workspace_bytes(side_by_side, CPU) == 20 << 20


def test_what_was_there_before_does_not_count() -> None:
    held = torch.zeros(4 * MEGABYTES)
    assert 4 << 20 <= workspace_bytes(lambda: held + 1, CPU) < 5 << 20  # the 1 is a tensor too
