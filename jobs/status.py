"""`vos-batch status OUTPUT`: what is done, what failed; read from the store alone, at any moment of a run."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated

import pyarrow as pa
import pyarrow.compute as pc
import typer
from rich.console import Console
from rich.table import Table

from jobs.terminal.console import exit_on_error, stdout
from jobs.terminal.printable import cell
from pipeline.output import tables
from pipeline.output.failures import open_failures
from pipeline.output.layout import ROW_TABLES
from pipeline.output.marker import check_output
from pipeline.output.runs import read_run, run_ids
from pipeline.storage.store import Store

app = typer.Typer(add_completion=False)

_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class OpenFailure:
    """The latest failure of a video that was not committed since."""

    video_id: str
    row: int
    attempt: int
    cause: str
    message: str
    frame_index: int | None
    retryable: bool
    run_id: str
    failed_at: datetime


@dataclass(frozen=True, kw_only=True)
class LastRun:
    """The run that was begun last; it may be over."""

    run_id: str
    started_at: datetime
    videos: int
    """Videos that it has to do."""
    committed: int
    """Those of them that it has committed so far."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """An OUTPUT at one moment."""

    output: str
    videos: dict[str, int]
    """Committed videos by their status: complete, truncated, damaged, needs_prompt."""
    frames: int
    """Decoded frames of these videos."""
    objects: int
    """Objects of these videos."""
    bytes: int
    """Of all files in masks and frames, those included that are not committed yet."""
    last_commit_at: datetime | None
    needs_prompt: dict[str, int]
    """By video_id of those that ended early for want of a prompt: the frame that needs one, there or later."""
    failures: tuple[OpenFailure, ...]
    """By video_id."""
    runs: tuple[str, ...]
    """Run ids, oldest first."""
    last_run: LastRun | None


def read_status(output: str) -> Status:
    """The status of an output folder, from listings and the tables `videos` and `failures`.

    Raises InvalidOutput when it is not ours, StoreUnavailable.
    """
    store = Store(output)
    check_output(store)
    # Failures first: a video committed in between then counts as done, not as both.
    failures = tables.open(store.url, "failures").to_table()
    videos = tables.open(store.url, "videos").to_table()
    runs = run_ids(store)
    return Status(
        output=store.url,
        videos=dict(sorted(Counter(videos["status"].to_pylist()).items())),
        frames=pc.sum(videos["frames_decoded"]).as_py() or 0,
        objects=pc.sum(pc.list_value_length(videos["objects"])).as_py() or 0,
        bytes=sum(entry.size for table in ROW_TABLES for entry in store.list(table)),
        last_commit_at=pc.max(videos["committed_at"]).as_py(),
        needs_prompt=_needs_prompt(videos),
        failures=tuple(
            OpenFailure(**row) for row in open_failures(failures, videos, OpenFailure.__dataclass_fields__).values()
        ),
        runs=runs,
        last_run=_run(store, runs[-1], videos) if runs else None,
    )


def _run(store: Store, run_id: str, videos: pa.Table) -> LastRun:
    record = read_run(store, run_id)
    return LastRun(
        run_id=run_id,
        started_at=record.started_at,
        videos=record.videos,
        committed=pc.sum(pc.equal(videos["run_id"], run_id)).as_py() or 0,
    )


def _needs_prompt(videos: pa.Table) -> dict[str, int]:
    columns = (videos[name].to_pylist() for name in ("video_id", "needs_prompt_frame"))
    return dict(sorted((video_id, frame) for video_id, frame in zip(*columns, strict=True) if frame is not None))


@app.command()
def status(
    output: Annotated[str, typer.Argument(help="The output folder: a path or URL.")],
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show how far an output is: videos, frames, bytes, what failed last and why."""
    with exit_on_error():
        result = read_status(output)
    if json_output:
        typer.echo(json.dumps(asdict(result), default=_iso, indent=2))
    else:
        _show(result)


def _iso(value: object) -> str:
    assert isinstance(value, datetime)
    return value.isoformat()


def _show(result: Status) -> None:
    console = stdout()
    console.print(_summary(result))
    if result.needs_prompt:
        _show_needs(console, result.needs_prompt)
    if result.failures:
        console.print(_failure_table(result.failures[:_SHOWN]))
        _show_what_next(console, result)


def _summary(result: Status) -> Table:
    table = Table.grid(padding=(0, 2))
    by_status = ", ".join(f"{count:,} {name}" for name, count in result.videos.items())
    table.add_row("output", cell(result.output))
    table.add_row("videos", f"{sum(result.videos.values()):,} committed" + (f" ({by_status})" if by_status else ""))
    table.add_row("frames", f"{result.frames:,}")
    table.add_row("objects", f"{result.objects:,}")
    table.add_row("bytes", f"{result.bytes:,}")
    table.add_row("last commit", _time(result.last_commit_at))
    table.add_row("need a prompt", f"{len(result.needs_prompt):,}")
    table.add_row("failed videos", f"{len(result.failures):,}")
    table.add_row("runs", f"{len(result.runs):,}")
    if run := result.last_run:
        table.add_row(
            "last run", f"{run.committed:,} of {run.videos:,} videos committed, begun {_time(run.started_at)}"
        )
    return table


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "none yet"


def _show_needs(console: Console, needs_prompt: Mapping[str, int]) -> None:
    table = Table("video", "needs a prompt at frame, or later")
    for video_id, frame in list(needs_prompt.items())[:_SHOWN]:
        table.add_row(cell(video_id), str(frame))
    console.print(table)
    if (hidden := len(needs_prompt) - _SHOWN) > 0:
        console.print(f"{hidden:,} more: --json lists all of them")


def _failure_table(failures: Sequence[OpenFailure]) -> Table:
    table = Table("video", "row", "frame", "cause", "message", "failed at")
    for failure in failures:
        frame = "" if failure.frame_index is None else str(failure.frame_index)
        cause, message = cell(failure.cause), cell(failure.message)
        table.add_row(cell(failure.video_id), str(failure.row), frame, cause, message, _time(failure.failed_at))
    return table


def _show_what_next(console: Console, result: Status) -> None:
    if (hidden := len(result.failures) - _SHOWN) > 0:
        console.print(f"{hidden:,} more: --json lists all of them")
    console.print("the next `vos-batch segment` with this OUTPUT tries them again")


if __name__ == "__main__":
    app()
