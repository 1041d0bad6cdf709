"""What every command does the same way at the terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from pipeline.errors import PipelineError

WRONG_CALL = 2
"""Exit code of a call that cannot work as it stands (design, section 10)."""


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Turn a PipelineError into `error: ...` on stderr and exit code 2. Raises typer.Exit."""
    try:
        yield
    except PipelineError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(WRONG_CALL) from error
