"""What is tried again, how often, and with which pauses."""

import logging
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pipeline.stores import Pauses


class Refused(Exception):
    pass


def refused(times: int, seen: list[int]) -> Callable[[], str]:
    """An action that is refused so many times before it succeeds."""

    def action() -> str:
        seen.append(1)
        if len(seen) <= times:
            raise Refused("slow down: https://host/x?X-Amz-Signature=5ec2e7")
        return "done"

    return action


def is_refusal(error: Exception) -> bool:
    return isinstance(error, Refused)


def test_what_succeeds_is_called_once() -> None:
    pauses, seen = Pauses(), list[int]()
    assert pauses.retry.call(refused(0, seen), is_refusal) == "done"
    assert len(seen) == 1 and pauses.seconds == []


def test_a_refusal_is_tried_again_after_growing_pauses() -> None:
    pauses, seen = Pauses(), list[int]()
    steady = replace(pauses.retry, jitter=lambda _least, most: most)
    assert steady.call(refused(4, seen), is_refusal) == "done"
    assert pauses.seconds == [0.5, 1.0, 2.0, 4.0]


def test_what_does_not_pass_by_itself_is_raised_at_once() -> None:
    seen: list[int] = []
    with pytest.raises(Refused):
        Pauses().retry.call(refused(1, seen), lambda _error: False)
    assert len(seen) == 1


@given(st.floats(0.1, 60), st.randoms(use_true_random=False))
def test_it_comes_to_an_end_whatever_the_jitter(total_s: float, random: Random) -> None:
    pauses, seen = Pauses(), list[int]()
    retry = replace(pauses.retry, total_s=total_s, jitter=random.uniform)
    with pytest.raises(Refused):
        retry.call(refused(10**6, seen), is_refusal)
    assert sum(pauses.seconds) <= total_s
    assert len(seen) == len(pauses.seconds) + 1
    assert all(0 < pause_s <= retry.longest_s for pause_s in pauses.seconds)


def test_pauses_differ_from_process_to_process() -> None:
    def pauses_of_one() -> list[float]:
        pauses = Pauses()
        pauses.retry.call(refused(3, []), is_refusal)
        return pauses.seconds

    assert pauses_of_one() != pauses_of_one()


def test_the_log_repeats_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        Pauses().retry.call(refused(1, []), is_refusal)
    assert "slow down" in caplog.text and "5ec2e7" not in caplog.text
