"""`vos-batch compare BEFORE AFTER`: two results on the same videos, paired by sequence, with standard errors."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from jobs.datasets import listing
from jobs.evaluation.comparison import Comparison, compare
from jobs.terminal.console import exit_on_error, stdout
from jobs.terminal.printable import cell
from model.estimate import Estimate


def _show(found: Comparison, console: Console) -> None:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("sequence", overflow="fold")
    for heading in ("before", "after", "difference"):
        table.add_column(heading, justify="right", no_wrap=True)
    for pair in found.pairs:
        _add(table, pair.video_id, pair.before, pair.after, pair.after - pair.before)
    table.add_row()
    means = (found.before, found.after, found.difference)
    _add(table, f"mean of {len(found.pairs)}", *(each.mean for each in means))
    table.add_row("standard error", *(_error(each) for each in means))
    console.print(table)
    console.print(_verdict(found.difference))
    if found.alone:
        console.print(f"{len(found.alone)} sequences are in one of the results only: {listing.few(found.alone)}")


def _add(table: Table, name: str, before: float, after: float, difference: float) -> None:
    table.add_row(cell(name), f"{before:.3f}", f"{after:.3f}", f"{difference:+.3f}")


def _error(found: Estimate) -> str:
    return "" if found.standard_error is None else f"{found.standard_error:.3f}"


def _verdict(difference: Estimate) -> str:
    if not difference.is_sure:
        return "no difference: it is within two standard errors of 0"
    return f"{'better' if difference.mean > 0 else 'worse'}: the difference is beyond two standard errors"


app = typer.Typer(add_completion=False)

_TABLE = "a Parquet file of evaluate --parquet, or a folder of some: path or URL."


@app.command(name="compare")
def compare_command(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help=f"Scores: {_TABLE}")],
    after: Annotated[str, typer.Argument(metavar="AFTER", help=f"Scores of the same videos: {_TABLE}")],
) -> None:
    """Compare two results sequence by sequence: J&F, the difference and its standard error."""
    console = stdout()
    with exit_on_error():
        _show(compare(before, after), console)


if __name__ == "__main__":
    app()
