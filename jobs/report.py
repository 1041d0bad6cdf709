"""`vos-batch report OUTPUT --to DIR`: an output as pages for a browser, without a server or a network."""

from collections.abc import Mapping
from typing import Annotated

import typer
from rich.console import Console

from jobs.reports.destination import INDEX, REVIEW
from jobs.reports.judging import judging
from jobs.reports.report import Written, until, write_report
from jobs.reports.reporter import READERS, SPACED_FRAMES, Asked
from jobs.reviewing.quality import DEFAULT_MODEL, load_model
from jobs.reviewing.queue import Budget
from jobs.terminal.console import INTERRUPTED, exit_on_error, interruptible, stdout
from jobs.terminal.options import AllowHttpOption, AllowLocalOption
from jobs.terminal.progress import shown_on
from pipeline.input.origin import Allowed
from pipeline.run.device import Device
from pipeline.storage.store import Store

app = typer.Typer(add_completion=False)

_SHOWN = 10
_BUDGET = "500"


@app.command(name="report")
def report_command(
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="What segment wrote: path or URL.")],
    to: Annotated[str, typer.Option(metavar="DIR", help="Folder to write: path or URL; empty or new.")],
    manifest: Annotated[
        str | None,
        typer.Option(metavar="MANIFEST", help="The manifest that OUTPUT was made of: where the videos lie."),
    ] = None,
    price: Annotated[
        float | None, typer.Option(metavar="PER_HOUR", min=0, help="Of one worker: the page says what masks cost.")
    ] = None,
    frames: Annotated[
        int, typer.Option(min=0, help="Evenly spaced frames a video, besides those worth a look; 0: no pictures.")
    ] = SPACED_FRAMES,
    budget: Annotated[
        str, typer.Option(metavar="5%|N", help="Object-frames to review: a share of all, or a number.")
    ] = _BUDGET,
    per_video: Annotated[int | None, typer.Option(metavar="N", min=1, help="Of a video at most.")] = None,
    model: Annotated[
        str, typer.Option(metavar="NAME|PATH", help="A model of `review fit`; default: in the box.")
    ] = DEFAULT_MODEL,
    heat: Annotated[
        bool, typer.Option("--heat", help="Also where in each picture the network was unsure: segments videos again.")
    ] = False,
    proxy: Annotated[
        bool, typer.Option("--proxy", help="Also each whole video as a small film that plays with its masks.")
    ] = False,
    device: Annotated[Device, typer.Option(help="What segments for --heat.")] = "auto",
    readers: Annotated[int, typer.Option(min=1, help="Videos read at a time.")] = READERS,
    allow_local: AllowLocalOption = False,
    allow_http: AllowHttpOption = False,
) -> None:
    """Write pages that show how runs went and what of their masks deserves a look."""
    console = stdout()
    asked = Asked(
        manifest=manifest,
        allowed=Allowed(local=allow_local, http=allow_http),
        price_per_hour=price,
        spaced=frames,
        heat=heat,
        proxy=proxy,
        device=device,
        readers=readers,
    )
    with exit_on_error():
        try:
            with (
                interruptible() as stop,
                judging(
                    output,
                    load_model(model),
                    Budget.of(budget),
                    per_video,
                    lambda videos, total: until(stop, shown_on(console, "judging masks")(videos, total)),
                ) as judged,
            ):
                written = write_report(
                    output,
                    to,
                    asked,
                    judge=judged.of,
                    items=judged.items,
                    shown=shown_on(console, "writing pages"),
                    stop=stop,
                )
        except KeyboardInterrupt:
            console.print("interrupted: remove DIR before the next call")
            raise typer.Exit(INTERRUPTED) from None
    _show(written, console)
    store = Store(to)
    console.print(f"{len(judged.items):,} object-frames to review: {store.url_of(REVIEW)}")
    console.print(f"open {store.url_of(INDEX)}")


def _show(written: Written, console: Console) -> None:
    heat = f", {written.heat_maps:,} heat maps" if written.heat_maps else ""
    films = f", {written.proxies:,} films" if written.proxies else ""
    console.print(
        f"{written.videos:,} videos, {written.failed:,} without a result, {written.pictures:,} pictures{heat}{films}"
    )
    _show_problems("no pictures, or not all, of", written.without_pictures, console)
    _show_problems("of", written.without_heat_maps, console)
    _show_problems("of", written.without_proxy, console)


def _show_problems(what: str, problems: Mapping[str, str], console: Console) -> None:
    for video_id, problem in list(problems.items())[:_SHOWN]:
        console.print(f"{what} {video_id}: {problem}")
    if (hidden := len(problems) - _SHOWN) > 0:
        console.print(f"and of {hidden:,} more")


if __name__ == "__main__":
    app()
