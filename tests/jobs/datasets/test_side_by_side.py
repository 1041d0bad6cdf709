"""Jobs side by side: in order, few at a time, their faults to whoever waits for them."""

import threading
import time
from collections.abc import Iterator

import pytest

from jobs.datasets.side_by_side import side_by_side


def test_results_come_in_order_whichever_is_done_first() -> None:
    def late(number: int) -> int:
        time.sleep(0.01 if number % 3 == 0 else 0)
        return number * number

    assert list(side_by_side(late, range(20), 4)) == [number * number for number in range(20)]


def test_they_do_run_side_by_side() -> None:
    together = threading.Barrier(3, timeout=10)
    assert list(side_by_side(lambda _: together.wait() >= 0, range(3), 3)) == [True] * 3


def test_few_are_asked_for_ahead() -> None:
    asked: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(1000):
            asked.append(number)
            yield number

    results = side_by_side(lambda number: number, numbers(), 2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    assert len(asked) <= 8 + 3
    results.close()  # type: ignore[attr-defined]


def test_a_fault_comes_in_its_turn() -> None:
    def refuse(number: int) -> int:
        if number == 2:
            raise ValueError("no")
        return number

    results = side_by_side(refuse, range(9), 2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="no"):
        next(results)


def test_nothing_gives_nothing() -> None:
    assert list(side_by_side(str, [], 2)) == []
