"""What every command does the same way at the terminal."""

import logging
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import typer
from rich.console import Console

from jobs.terminal.printable import OneLiner, PrintableFormatter, paragraph
from pipeline.errors import PipelineError

WRONG_CALL = 2
"""Exit code of a call that cannot work as it stands (design, section 10)."""


BUG = 1
"""Exit code of a call that fell over a bug of ours."""


INTERRUPTED = 130
"""Exit code of a run that was ended by Ctrl-C or SIGTERM and has cleaned up."""


_PATIENCE_S = {signal.SIGINT: 10.0, signal.SIGTERM: 2.0}
"""How long a process may take to end after a signal, whatever hangs; `ray job stop` kills 3 s after SIGTERM."""


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Whether the process was asked to end, by Ctrl-C or SIGTERM: to be asked between requests, for nothing is raised.

    A second signal ends the process at once, and so does one that takes too long to end: a run that is killed loses
    nothing either. For the main thread; elsewhere nobody asks. Signals that the caller of this process has switched off
    stay so.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def handle(number: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            os._exit(INTERRUPTED)
        asked.set()
        watchdog = threading.Timer(_PATIENCE_S[signal.Signals(number)], os._exit, [INTERRUPTED])
        watchdog.daemon = True
        watchdog.start()
        watchdogs.append(watchdog)

    watchdogs: list[threading.Timer] = []
    before = {number: signal.getsignal(number) for number in _PATIENCE_S}
    before = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, handle)
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for watchdog in watchdogs:
            watchdog.cancel()


def stdout() -> Console:
    """Where results go: as they are, for paths and ids hold brackets, and unbroken, for commands are copied."""
    return OneLiner(soft_wrap=True, highlight=False, markup=False)


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Turn a PipelineError into `error: ...` on stderr and exit code 2, a bug into its trace and 1. Raises typer.Exit.

    Warnings that are logged meanwhile go to stderr too.
    """
    with _log_on_stderr():
        try:
            yield
        except PipelineError as error:
            typer.echo(f"error: {paragraph(str(error))}", err=True)
            raise typer.Exit(WRONG_CALL) from error
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            # Python would print it as it is, and its text may hold anything.
            typer.echo(paragraph("".join(traceback.format_exception(error))), err=True)
            raise typer.Exit(BUG) from error


@contextmanager
def _log_on_stderr() -> Iterator[None]:
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(PrintableFormatter())
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
