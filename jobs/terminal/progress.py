"""How far a run is: a bar with frames/s and time left in a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, track
from rich.progress import Progress as Bar

from pipeline.run.progress import Progress

_LINE_EVERY_S = 10.0

T = TypeVar("T")


def shown_on(console: Console, what: str) -> Callable[[Iterable[T], int], Iterable[T]]:
    """A function that passes so many things on and shows how far it is: a bar in a terminal, elsewhere now and then a
    line."""
    if console.is_terminal:
        return lambda done, total: track(done, what, total=total, console=console)
    return lambda done, total: _counted(done, total, what, console)


def _counted(done: Iterable[T], total: int, what: str, console: Console) -> Iterator[T]:
    printed_at = time.monotonic()
    for number, one in enumerate(done, start=1):
        yield one
        if time.monotonic() - printed_at >= _LINE_EVERY_S:
            printed_at = time.monotonic()
            console.print(f"{what}: {number:,} of {total:,}")


@contextmanager
def show_progress(console: Console) -> Iterator[Callable[[Progress], None]]:
    """A function for `run(on_progress=...)`, for the time of the context."""
    if console.is_terminal:
        with _bar(console) as bar:
            yield _Terminal(bar)
    else:
        yield _Lines(console)


def _bar(console: Console) -> Bar:
    return Bar(
        TextColumn("{task.fields[videos]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("frames {task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        console=console,
    )


class _Rate:
    """Frames per second since the first frame: starting processes and loading weights do not count."""

    def __init__(self) -> None:
        self._began: tuple[float, int] | None = None

    def per_s(self, frames_done: int) -> float | None:
        now = time.monotonic()
        if self._began is None:
            if frames_done:
                self._began = (now, frames_done)
            return None
        began, first = self._began
        return (frames_done - first) / (now - began) if frames_done > first else None


class _Terminal:
    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._rate = _Rate()
        self._task = bar.add_task("segment", total=None, videos="starting workers", rate="", left="")

    def __call__(self, progress: Progress) -> None:
        rate = self._rate.per_s(progress.frames_done)
        self._bar.update(
            self._task,
            total=progress.frames_total,
            completed=progress.frames_done,
            videos=_videos(progress) if progress.frames_done else "starting workers",
            rate=f"{rate:.2f} frames/s" if rate else "",
            left=_left(progress, rate),
        )


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._rate = _Rate()
        self._last = (time.monotonic(), -1, 0)

    def __call__(self, progress: Progress) -> None:
        rate = self._rate.per_s(progress.frames_done)
        now = time.monotonic()
        printed_at, done, failed = self._last
        changed = (progress.videos_done, progress.videos_failed) != (done, failed)
        if not changed and now - printed_at < _LINE_EVERY_S:
            return
        self._last = (now, progress.videos_done, progress.videos_failed)
        parts = [_videos(progress), _frames(progress), f"{rate:.2f} frames/s" if rate else "", _left(progress, rate)]
        self._console.print(", ".join(part for part in parts if part))


def _videos(progress: Progress) -> str:
    failed = f", {progress.videos_failed} failed" if progress.videos_failed else ""
    return f"{progress.videos_done} of {progress.videos_total} videos{failed}"


def _frames(progress: Progress) -> str:
    total = f" of {progress.frames_total}" if progress.frames_total else ""
    return f"{progress.frames_done}{total} frames"


def _left(progress: Progress, rate: float | None) -> str:
    if not rate or progress.frames_total is None or progress.frames_total <= progress.frames_done:
        return ""
    seconds = round((progress.frames_total - progress.frames_done) / rate)
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours}h {minutes:02d}m left" if hours else f"{minutes}m {seconds % 60:02d}s left"
