"""Where a video ends before its last frame."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.result import BankStatistics, FrameResult
from pipeline.run.ending import Ending, EndingConfig


def result(*, shown: bool = True, cut: bool | None = False) -> FrameResult:
    """A frame with or without an object."""
    labels = np.full((2, 2), 7 if shown else 0, np.int32)
    return FrameResult(labels=labels, objects=(), statistics=None, bank=BankStatistics(), prompted=False, shot_cut=cut)


def ends(config: EndingConfig, frames: list[FrameResult], *, last_prompt: int = 0, first: int = 0) -> tuple[int, int]:
    """(frame that the video ends with, frame that needs a prompt); -1 where it does not end early."""
    ending = Ending(config, last_prompt=last_prompt)
    for index, frame in enumerate(frames, first):
        if (needs := ending.at(index, frame)) is not None:
            return index, needs
    return -1, -1


def lost(*shown: int) -> list[FrameResult]:
    return [result(shown=bool(one)) for one in shown]


def cuts(*cut: int) -> list[FrameResult]:
    return [result(cut=bool(one)) for one in cut]


STOP, LOST_3 = EndingConfig(at_cuts="stop"), EndingConfig(stop_when_lost=3)


def test_by_default_nothing_ends_a_video() -> None:
    assert ends(EndingConfig(), cuts(0, 1, 1) + lost(*[0] * 50)) == (-1, -1)


@pytest.mark.parametrize(
    ("last_prompt", "expected"),
    [
        (0, (2, 2)),  # behind the prompt comes a cut
        (2, (4, 4)),  # whoever prompts the cut's frame wants what follows, up to the next cut
        (3, (4, 4)),  # and so does who prompts a later one, and what lies between
        (4, (-1, -1)),
        (9, (-1, -1)),
    ],
)
def test_it_stops_at_the_first_cut_behind_the_last_prompt(last_prompt: int, expected: tuple[int, int]) -> None:
    assert ends(STOP, cuts(0, 0, 1, 0, 1, 0), last_prompt=last_prompt) == expected


def test_what_cannot_be_judged_is_no_cut() -> None:
    assert ends(STOP, [result(cut=None)] * 5) == (-1, -1)


@pytest.mark.parametrize(
    ("frames", "last_prompt", "expected"),
    [
        (lost(1, 0, 0, 0, 0), 0, (3, 1)),
        (lost(1, 0, 0, 1, 0, 0, 0), 0, (6, 4)),
        (lost(1, 0, 0, 1, 0, 0), 0, (-1, -1)),
        (lost(1, 0, 0, 0, 0, 0, 0), 2, (5, 3)),  # frames up to the prompt are known
        (lost(1, 0, 0, 0, 0, 0, 1), 6, (-1, -1)),  # a prompt is on its way
    ],
)
def test_it_stops_after_so_many_frames_without_an_object(
    frames: list[FrameResult], last_prompt: int, expected: tuple[int, int]
) -> None:
    assert ends(LOST_3, frames, last_prompt=last_prompt) == expected


def test_frame_numbers_are_the_source_s() -> None:
    assert ends(LOST_3, lost(1, 0, 0, 0), last_prompt=40, first=40) == (43, 41)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=30), st.integers(0, 30), st.integers(1, 5))
def test_it_never_ends_before_its_last_prompt_nor_asks_for_one_before(
    frames: list[tuple[bool, bool]], last_prompt: int, limit: int
) -> None:
    config = EndingConfig(at_cuts="stop", stop_when_lost=limit)
    end, needs = ends(config, [result(shown=shown, cut=cut) for shown, cut in frames], last_prompt=last_prompt)
    assert end == needs == -1 or last_prompt < needs <= end
