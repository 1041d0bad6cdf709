"""`vos-batch export OUTPUT --format F --to DEST`: what is committed, as files that other tools open."""

from typing import Annotated

import typer
from rich.console import Console

from jobs.exports import registry
from jobs.exports.export import export
from jobs.exports.format import Format
from jobs.exports.losses import Tally
from jobs.exports.pictures import Frames
from jobs.exports.plan import Asked
from jobs.exports.video import Selection
from jobs.terminal.console import INTERRUPTED, exit_on_error, interruptible, stdout
from jobs.terminal.progress import show_progress
from pipeline.storage.urls import absolute_url

app = typer.Typer(add_completion=False)


@app.command(name="export")
def export_command(
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="What segment wrote: path or URL.")],
    format_name: Annotated[str, typer.Option("--format", metavar="FORMAT", help=", ".join(registry.FORMATS))],
    to: Annotated[str, typer.Option(metavar="DEST", help="Folder to write: path or URL; empty or new.")],
    manifest: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The manifest that OUTPUT was made of: for frames and classes."),
    ] = None,
    frames: Annotated[
        Frames, typer.Option(help="Frames beside the masks; link: of folders on this machine.")
    ] = Frames.NONE,
    classes: Annotated[
        bool, typer.Option("--classes", help="Objects have the classes in the manifest's metadata.")
    ] = False,
    every: Annotated[int, typer.Option(min=1, help="Every n-th frame of each video.")] = 1,
    min_score: Annotated[float | None, typer.Option(min=0, max=1, help="Leave masks out that score less.")] = None,
    max_uncertainty: Annotated[
        float | None, typer.Option(min=0, max=1, help="Leave masks out that are less certain.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(metavar="ID", help="Only this video; may be repeated.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; default: the machine's cores, at most 8.")
    ] = None,
) -> None:
    """Write the masks of OUTPUT in the format of another tool."""
    console = stdout()
    asked = Asked(
        selection=Selection(every=every, min_score=min_score, max_uncertainty=max_uncertainty),
        only=tuple(only or ()),
        manifest=manifest,
        classes=classes,
    )
    with exit_on_error():
        try:
            with interruptible() as stop, show_progress(console) as on_progress:
                written = export(
                    output,
                    format_name,
                    to,
                    asked,
                    frames=frames,
                    workers=workers,
                    on_progress=on_progress,
                    stop=stop,
                )
        except KeyboardInterrupt:
            console.print("interrupted: the same command goes on from there")
            raise typer.Exit(INTERRUPTED) from None
        _show(written, registry.find(format_name), absolute_url(to), console)


def _show(written: Tally, chosen: Format, to: str, console: Console) -> None:
    console.print(
        f"wrote {written.videos:,} videos, {written.frames:,} frames, {written.object_frames:,} object-frames to {to}"
    )
    if written.left_out:
        console.print(f"left out, as asked: {written.left_out:,} object-frames")
    for loss, what in chosen.lacks.items():
        if number := written.lost[loss]:
            console.print(f"not in {chosen.name}: {number:,} {loss} ({what})")


if __name__ == "__main__":
    app()
