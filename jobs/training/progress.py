"""How far a training is: a bar in a terminal, plain lines elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from jobs.training.reports import Learned, Reporter
from jobs.training.validation import Score


@contextmanager
def show_training(console: Console) -> Iterator[Reporter]:
    """Someone to report to, for the time of the context."""
    if console.is_terminal:
        with _bar(console) as bar:
            yield _Terminal(bar)
    else:
        yield _Lines(console)


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("step"),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.fields[losses]}{task.fields[score]}"),
        console=console,
    )


class _Terminal:
    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("train", total=None, losses="reading", score="")

    def note(self, text: str) -> None:
        self._bar.console.print(text)

    def learned(self, report: Learned) -> None:
        shown = f"loss {report.recent.total:.4f}, {_pace(report)}"
        self._bar.update(self._task, total=report.steps, completed=report.step, losses=shown)

    def scored(self, step: int, score: Score) -> None:
        self._bar.update(self._task, score=f", J&F {score.J_and_F:.3f} at {step}")


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console

    def note(self, text: str) -> None:
        self._console.print(text)

    def learned(self, report: Learned) -> None:
        if report.has_line:
            losses = ", ".join(f"{name} {value:.4f}" for name, value in vars(report.recent).items())
            self._console.print(f"step {report.step} of {report.steps}: {losses}, {_pace(report)}")

    def scored(self, step: int, score: Score) -> None:
        self._console.print(f"step {step}: J&F {score.J_and_F:.3f}, J {score.J:.3f}, F {score.F:.3f}")


def _pace(report: Learned) -> str:
    seconds = round((report.steps - report.step) * report.seconds_per_step)
    hours, minutes = divmod(seconds // 60, 60)
    left = f"{hours}h {minutes:02d}m" if hours else f"{minutes}m {seconds % 60:02d}s"
    return f"{report.seconds_per_step:.2f} s/step, {left} left"
