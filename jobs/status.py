"""`vos-batch status OUTPUT`: what is done, what failed; read from the store alone, at any moment of a run."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated

import pyarrow as pa
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs.console import exit_on_error, stdout
from pipeline import tables
from pipeline.commits import Commit, CommitLog, check_output
from pipeline.storage import Store

app = typer.Typer(add_completion=False)

_SHOWN_FAILURES = 20


@dataclass(frozen=True, kw_only=True)
class Failure:
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
class Status:
    """An OUTPUT at one moment."""

    output: str
    videos: dict[str, int]
    """Committed videos by their status: complete, truncated, damaged."""
    frames: int
    """Rows of `frames`."""
    object_frames: int
    """Rows of `masks`."""
    bytes: int
    """Of the committed masks and frames files."""
    last_commit_at: datetime | None
    failures: tuple[Failure, ...]
    """By video_id."""
    runs: tuple[str, ...]
    """Run ids, in order of name."""


def read_status(output: str) -> Status:
    """The status of an output folder. Raises InvalidOutput when it is not ours, StoreUnavailable."""
    store = Store(output)
    check_output(store)
    # Failures first: a video committed in between then counts as done, not as both.
    failures = tables.open(store.url, "failures").to_table()
    commits = CommitLog(store).read_all()
    return Status(
        output=store.url,
        videos=dict(sorted(Counter(str(commit.video["status"]) for commit in commits).items())),
        frames=sum(commit.files["frames"].rows for commit in commits),
        object_frames=sum(commit.files["masks"].rows for commit in commits),
        bytes=sum(record.bytes for commit in commits for record in commit.files.values()),
        last_commit_at=max((commit.committed_at for commit in commits), default=None),
        failures=_open_failures(failures, commits),
        runs=tuple(entry.name.removesuffix(".json") for entry in store.list("_runs")),
    )


def _open_failures(failures: pa.Table, commits: Iterable[Commit]) -> tuple[Failure, ...]:
    committed_at = {commit.video_id: commit.committed_at for commit in commits}
    columns = list(Failure.__dataclass_fields__)
    rows = failures.select(columns).sort_by("failed_at").to_pylist()
    latest = {row["video_id"]: Failure(**row) for row in rows}
    return tuple(
        latest[video_id]
        for video_id in sorted(latest)
        if video_id not in committed_at or committed_at[video_id] < latest[video_id].failed_at
    )


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
    if result.failures:
        console.print(_failure_table(result.failures[:_SHOWN_FAILURES]))
        _show_what_next(console, result)


def _summary(result: Status) -> Table:
    table = Table.grid(padding=(0, 2))
    by_status = ", ".join(f"{count:,} {name}" for name, count in result.videos.items())
    table.add_row("output", Text(result.output, overflow="fold"))
    table.add_row("videos", f"{sum(result.videos.values()):,} committed" + (f" ({by_status})" if by_status else ""))
    table.add_row("frames", f"{result.frames:,}")
    table.add_row("object-frames", f"{result.object_frames:,}")
    table.add_row("bytes", f"{result.bytes:,}")
    table.add_row("last commit", _time(result.last_commit_at))
    table.add_row("failed videos", f"{len(result.failures):,}")
    table.add_row("runs", f"{len(result.runs):,}")
    return table


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "none yet"


def _failure_table(failures: Sequence[Failure]) -> Table:
    table = Table("video", "row", "frame", "cause", "message", "failed at")
    for failure in failures:
        frame = "" if failure.frame_index is None else str(failure.frame_index)
        # Text: an id or message with brackets is no markup.
        video, message = Text(failure.video_id), Text(failure.message, overflow="fold")
        table.add_row(video, str(failure.row), frame, failure.cause, message, _time(failure.failed_at))
    return table


def _show_what_next(console: Console, result: Status) -> None:
    if (hidden := len(result.failures) - _SHOWN_FAILURES) > 0:
        console.print(f"{hidden:,} more: --json lists all of them")
    console.print("the next `vos-batch segment` with this OUTPUT tries them again")


if __name__ == "__main__":
    app()
