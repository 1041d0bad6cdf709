"""`vos-batch report OUTPUT --to DIR`: an output as pages for a browser, without a server or a network."""

from typing import Annotated

import typer
from rich.console import Console

from jobs.reports.destination import INDEX, REVIEW, claim
from jobs.reports.report import READERS, SPACED_FRAMES, Asked, Written, write_report
from jobs.reviewing.expected import expected
from jobs.reviewing.quality import DEFAULT_MODEL, QualityModel, load_model
from jobs.reviewing.queue import Asking, Budget, QueueItem, review_queue
from jobs.terminal.console import INTERRUPTED, exit_on_error, interruptible, stdout
from jobs.terminal.options import AllowHttpOption, AllowLocalOption
from jobs.terminal.progress import show_progress
from pipeline.input.origin import Allowed
from pipeline.output.labels import committed_videos
from pipeline.storage.store import Store

app = typer.Typer(add_completion=False)

BUDGET = "200"
_SHOWN = 10


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
        str, typer.Option(metavar="5%|N", help="To review: a share of the object-frames, or a number of them.")
    ] = BUDGET,
    per_video: Annotated[int | None, typer.Option(metavar="N", min=1, help="To review of a video, at most.")] = None,
    model: Annotated[
        str, typer.Option(metavar="NAME|PATH", help="What says which masks are bad: a model of `review fit`.")
    ] = DEFAULT_MODEL,
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
        readers=readers,
    )
    with exit_on_error():
        try:
            quality, most = load_model(model), Budget.of(budget)
            claim(Store(to))  # before anything is computed
            items = _to_review(output, quality, most, Asking(per_video=per_video))
            with interruptible() as stop, show_progress(console) as on_progress:
                written = write_report(
                    output,
                    to,
                    asked,
                    judge=lambda video: expected(video, quality),
                    items=items,
                    on_progress=on_progress,
                    stop=stop,
                )
        except KeyboardInterrupt:
            console.print("interrupted: remove DIR before the next call")
            raise typer.Exit(INTERRUPTED) from None
    _show(written, console)
    console.print(f"open {Store(to).url_of(INDEX)}; {len(items):,} masks to review: {Store(to).url_of(REVIEW)}")


def _to_review(output: str, model: QualityModel, budget: Budget, asking: Asking) -> list[QueueItem]:
    """Also of an output without a result, which has a report too."""
    return review_queue(output, model, budget, asking) if committed_videos(output) else []


def _show(written: Written, console: Console) -> None:
    console.print(f"{written.videos:,} videos, {written.failed:,} without a result, {written.pictures:,} pictures")
    for video_id, problem in list(written.without_pictures.items())[:_SHOWN]:
        console.print(f"no pictures, or not all, of {video_id}: {problem}")
    if (hidden := len(written.without_pictures) - _SHOWN) > 0:
        console.print(f"and of {hidden:,} more")


if __name__ == "__main__":
    app()
