"""`vos-batch verify OUTPUT`: whether everything is there as it was written; `--repair` puts it back in line."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from jobs.terminal.console import INTERRUPTED, exit_on_error, interruptible, stdout
from jobs.terminal.launch import SOME_FAILED
from pipeline.output.findings import Finding, Kind, Report
from pipeline.output.repair import Repaired, repair
from pipeline.output.verify import verify
from pipeline.run.driver import GRACE_S
from pipeline.storage.store import Store

app = typer.Typer(add_completion=False)

_SHOWN = 5
_SAID = {
    Kind.MISSING: "files that a commit lists are not there",
    Kind.SHORT: "files have another size than their commit says",
    Kind.ALTERED: "files hold other bytes than were written",
    Kind.WRONG_ROWS: "files hold other rows than their commit says",
    Kind.UNREADABLE_COMMIT: "commits cannot be read",
    Kind.UNREADABLE_TABLE: "files of videos or failures cannot be read",
    Kind.ORPHANED: "files are listed by no commit",
    Kind.WITHOUT_ROW: "commits have no row in videos",
    Kind.STRAY_ROW: "rows of videos are of no result",
    Kind.WRONG_ROW: "rows of videos say otherwise than their commits",
}


@app.command("verify")
def verify_command(
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="The output folder: a path or URL.")],
    repair_it: Annotated[
        bool, typer.Option("--repair", help="Put it in line: what is damaged is segmented again by the next run.")
    ] = False,
    grace: Annotated[
        float, typer.Option(min=0, help="With --repair: seconds that replaced results stay for readers of them.")
    ] = GRACE_S,
    not_exclusive: Annotated[
        bool, typer.Option("--not-exclusive", help="With --repair: also where a run might slip in.")
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Read everything in OUTPUT and compare it with what was written. Exit code 3 when something is wrong."""
    console = stdout()
    with exit_on_error(), interruptible() as stop, _shown_on(console, quiet=json_output) as on_progress:
        try:
            if repair_it:
                repaired: Repaired | None = repair(
                    Store(output),
                    grace_s=grace,
                    not_exclusive=not_exclusive,
                    on_progress=on_progress,
                    tell=lambda line: None if json_output else console.print(line),
                    stop=stop,
                )
            else:
                repaired, report = None, verify(Store(output), on_progress=on_progress, stop=stop)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
    report = repaired.report if repaired else report
    if json_output:
        typer.echo(json.dumps(_for_programs(report, repaired), indent=2))
    else:
        _show(report, repaired, console, output)
    if report.found:
        raise typer.Exit(SOME_FAILED)


@contextmanager
def _shown_on(console: Console, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    if quiet or not console.is_terminal:
        yield lambda _done, _all: None
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("reading videos", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _for_programs(report: Report, repaired: Repaired | None) -> dict[str, object]:
    content: dict[str, object] = {**asdict(report), "exit_code": SOME_FAILED if report.found else 0}
    if repaired:
        content["repaired"] = {name: value for name, value in asdict(repaired).items() if name != "report"}
    return content


def _show(report: Report, repaired: Repaired | None, console: Console, output: str) -> None:
    console.print(f"{report.whole:,} of {report.videos:,} videos are whole, {report.bytes:,} bytes read")
    for kind, found in report.by_kind().items():
        console.print(f"{len(found):,} {_SAID[kind]}:")
        for one in found[:_SHOWN]:
            console.print(f"  {_line(one)}")
        if len(found) > _SHOWN:
            console.print(f"  and {len(found) - _SHOWN:,} more: --json lists all of them")
    if report.driven:
        console.print("the last run has not ended, or was killed: what it may still put in line was left out")
    if repaired:
        _show_repaired(repaired, console, output)
    elif report.found:
        console.print(f"put it in line: vos-batch verify {output} --repair")


def _line(finding: Finding) -> str:
    video = f" (video {finding.video_id})" if finding.video_id else ""
    return f"{finding.path}{video}: {finding.what}"


def _show_repaired(repaired: Repaired, console: Console, output: str) -> None:
    console.print(f"in line again: {repaired.deleted:,} files deleted, videos holds the rows of what counts")
    for ids, what in (
        (repaired.restored, "commits written anew from their rows of videos"),
        (repaired.earlier, "videos have their earlier result again"),
        (repaired.again, f"videos have no result any more, the next `vos-batch segment MANIFEST {output}` does them"),
    ):
        if ids:
            more = ", ..." if len(ids) > _SHOWN else ""
            console.print(f"{len(ids):,} {what}: {', '.join(ids[:_SHOWN])}{more}")


if __name__ == "__main__":
    app()
