"""What every command does the same way at the terminal."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import typer
from rich.console import Console

from pipeline.errors import PipelineError

WRONG_CALL = 2
"""Exit code of a call that cannot work as it stands (design, section 10)."""


INTERRUPTED = 130
"""Exit code of a run that was ended by Ctrl-C or SIGTERM and has cleaned up."""


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM raises KeyboardInterrupt as Ctrl-C does, and a second one of either ends the process at once.

    For the main thread. Signals that the caller of this process has switched off stay so.
    """
    received: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        if received:
            os._exit(INTERRUPTED)
        received.append(number)
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stdout() -> Console:
    """Where results go: as they are, for paths and ids hold brackets, and unbroken, for commands are copied."""
    return Console(soft_wrap=True, highlight=False, markup=False)


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Turn a PipelineError into `error: ...` on stderr and exit code 2. Raises typer.Exit."""
    try:
        yield
    except PipelineError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(WRONG_CALL) from error
