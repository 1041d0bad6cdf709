"""What every command does the same way at the terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from pipeline.errors import PipelineError

WRONG_CALL = 2
"""Exit code of a call that cannot work as it stands (design, section 10)."""


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
