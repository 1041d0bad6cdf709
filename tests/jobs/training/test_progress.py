"""What a person sees of a training: a bar in a terminal, lines elsewhere."""

import io

import pytest
from rich.console import Console

from jobs.training.progress import show_training
from jobs.training.reports import Learned, Reporter
from tests.jobs.training.reported import SCORE, learned, losses


def shown(*steps: int, terminal: bool = False, steps_in_all: int = 120) -> str:
    """What stands there after these steps, with a note before and a validation after them."""
    console = Console(file=io.StringIO(), force_terminal=terminal, width=160)
    with show_training(console) as reporter:
        reporter.note("going on from step 40")
        for step in steps:
            reporter.learned(learned(step, steps=steps_in_all))
        follow(reporter)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def follow(reporter: Reporter) -> None:
    reporter.scored(100, SCORE)


def test_lines_say_every_fiftieth_step_and_every_validation() -> None:
    assert shown(49, 50, 51).splitlines() == [
        "going on from step 40",
        "step 50 of 120: total 0.5000, cross_entropy 0.5000, jaccard 0.2500, uncertainty 0.7500, 2.00 s/step, "
        "2m 20s left",
        "step 100: J&F 0.500, J 0.400, F 0.600",
    ]


@pytest.mark.parametrize(("step", "left"), [(50, "1h 05m left"), (1950, "1m 40s left"), (2000, "0m 00s left")])
def test_the_time_left(step: int, left: str) -> None:
    assert left in shown(step, steps_in_all=2000)


def test_a_terminal_gets_a_bar() -> None:
    text = shown(99, 100, terminal=True)
    for part in ("from step", "100/120", "loss 1.0000", "2.00 s/step", "0m 40s left", "J&F 0.500 at 100"):
        assert part in text


def test_a_report_knows_whether_it_has_a_line() -> None:
    report = Learned(step=3, steps=3, losses=losses(1), recent=losses(1), learning_rate=1e-4, seconds_per_step=1.0)
    assert report.has_line and not learned(3).has_line
