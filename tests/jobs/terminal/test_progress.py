"""What a person sees of a run: lines where there is no terminal, a bar where there is one."""

import io

import pytest
from rich.console import Console

from jobs.terminal import progress as progress_module
from jobs.terminal.progress import show_progress, shown_on
from pipeline.run.progress import Progress


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress_module, "time", clock)
    return clock


def at(done: int = 0, failed: int = 0, frames: int = 0, total: int | None = None) -> Progress:
    return Progress(videos_total=4, videos_done=done, videos_failed=failed, frames_done=frames, frames_total=total)


def shown(clock: Clock, *steps: tuple[float, Progress], terminal: bool = False) -> list[str]:
    """The lines after each step, (seconds since the last, progress)."""
    console = Console(file=io.StringIO(), force_terminal=terminal, width=150)
    with show_progress(console) as on_progress:
        for passed_s, progress in steps:
            clock.now_s += passed_s
            on_progress(progress)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue().splitlines()


def test_the_first_line_comes_at_once(clock: Clock) -> None:
    assert shown(clock, (0, at())) == ["0 of 4 videos, 0 frames"]


def test_a_line_for_every_video_and_else_every_ten_seconds(clock: Clock) -> None:
    lines = shown(
        clock,
        (0, at()),
        (1, at(frames=5)),
        (8, at(frames=6)),
        (2, at(frames=7)),
        (1, at(frames=8, done=1)),
        (1, at(frames=9, done=1)),
        (1, at(frames=9, done=1, failed=1)),
    )
    assert [line.split(", ")[:2] for line in lines] == [
        ["0 of 4 videos", "0 frames"],
        ["0 of 4 videos", "7 frames"],
        ["1 of 4 videos", "8 frames"],
        ["1 of 4 videos", "1 failed"],
    ]


@pytest.mark.parametrize(
    ("frames", "total", "expected"),
    [
        (100, 200, "1 of 4 videos, 100 of 200 frames, 9.00 frames/s, 0m 11s left"),
        (100, 100_000, "1 of 4 videos, 100 of 100000 frames, 9.00 frames/s, 3h 05m left"),
        (100, None, "1 of 4 videos, 100 frames, 9.00 frames/s"),
        (100, 100, "1 of 4 videos, 100 of 100 frames, 9.00 frames/s"),
        (10, 200, "1 of 4 videos, 10 of 200 frames"),
    ],
)
def test_rate_and_time_left(clock: Clock, frames: int, total: int | None, expected: str) -> None:
    """The rate counts from the first frames on: starting workers is no work."""
    steps = (60, at()), (30, at(frames=10)), (10, at(done=1, frames=frames, total=total))
    assert shown(clock, *steps)[-1] == expected


def test_a_terminal_gets_a_bar(clock: Clock) -> None:
    lines = shown(clock, (0, at()), (1, at(frames=10)), (1, at(done=2, failed=1, frames=20, total=40)), terminal=True)
    text = "\n".join(lines)
    for part in ("starting workers", "2 of 4 videos, 1 failed", "20/40", "10.00 frames/s", "0m 02s left"):
        assert part in text


@pytest.mark.parametrize(("each_s", "expected"), [(1, []), (4, [3, 6]), (30, [1, 2, 3, 4, 5, 6])])
def test_without_a_terminal_things_that_are_passed_on_are_counted_every_ten_seconds(
    clock: Clock, each_s: int, expected: list[int]
) -> None:
    console = Console(file=io.StringIO(), width=150)
    passed = []
    for one in shown_on(console, "writing pages")(iter("abcdef"), 6):
        passed.append(one)
        clock.now_s += each_s
    assert passed == list("abcdef")
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [f"writing pages: {number} of 6" for number in expected]
