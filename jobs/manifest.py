"""`vos-batch manifest build`, `check`, `preview` and `correct`: which videos to segment, and by what."""

import shlex
from typing import Annotated

import typer

from jobs.datasets.check import READERS, check
from jobs.datasets.corrections import LAYOUTS, MASKS, correct
from jobs.datasets.doubts import ORDER
from jobs.datasets.manifests import Layout, PromptChoice, build
from jobs.datasets.preview import PAGE, Looks, preview
from jobs.datasets.preview import READERS as PREVIEW_READERS
from jobs.terminal.console import WRONG_CALL, exit_on_error, stdout
from jobs.terminal.options import AllowHttpOption, AllowLocalOption, BinaryMasksOption, BoxMasksOption, MaxPixelsOption
from jobs.terminal.progress import shown_on
from model.segmenter import SegmenterConfig
from pipeline.input.frames import MAX_PIXELS
from pipeline.input.origin import Allowed
from pipeline.storage.store import Store

app = typer.Typer(no_args_is_help=True)


@app.callback()
def manifest() -> None:
    """Say which videos to segment and which masks prompt them."""


@app.command("check")
def check_command(
    manifest: Annotated[str, typer.Argument(metavar="MANIFEST", help="Manifest: path or URL.")],
    output: Annotated[
        str | None, typer.Option(help="Write it here, with num_frames, height and width of every video.")
    ] = None,
    binary_masks: BinaryMasksOption = False,
    max_pixels: MaxPixelsOption = MAX_PIXELS,
    allow_local: AllowLocalOption = False,
    allow_http: AllowHttpOption = False,
    readers: Annotated[int, typer.Option(min=1, help="Videos opened at a time.")] = READERS,
) -> None:
    """Open every video and mask of a manifest and report all faults."""
    console = stdout()
    with exit_on_error():
        good, faults, notes = check(
            manifest,
            output=output,
            binary_masks=binary_masks,
            max_pixels=max_pixels,
            allowed=Allowed(local=allow_local, http=allow_http),
            readers=readers,
            shown=shown_on(console, "opening videos and masks"),
        )
    for note in notes:
        console.print(f"note: {note}")
    for fault in faults:
        console.print(str(fault))
    if faults:
        rows = len({fault.row for fault in faults})
        not_written = f"; {output} was not written" if output else ""
        console.print(f"{len(faults)} faults in {rows} rows, {good} videos are fine{not_written}")
        raise typer.Exit(WRONG_CALL)
    console.print(f"{good} videos are fine" + (f", wrote {output}" if output else ""))


@app.command("preview")
def preview_command(
    manifest: Annotated[str, typer.Argument(metavar="MANIFEST", help="Manifest: path or URL.")],
    to: Annotated[str, typer.Option(metavar="DIR", help="Folder for the pictures and the page: path or URL; empty.")],
    binary_masks: BinaryMasksOption = False,
    box_masks: BoxMasksOption = "network",
    max_side: Annotated[int, typer.Option(min=0, help="As for segment.")] = SegmenterConfig.max_side,
    min_side: Annotated[int, typer.Option(min=0, help="As for segment.")] = SegmenterConfig.min_side,
    max_pixels: MaxPixelsOption = MAX_PIXELS,
    allow_local: AllowLocalOption = False,
    allow_http: AllowHttpOption = False,
    readers: Annotated[int, typer.Option(min=1, help="Videos looked at at a time.")] = PREVIEW_READERS,
) -> None:
    """Draw every object's first mask on its frame, doubtful ones first."""
    console = stdout()
    with exit_on_error():
        drawn = preview(
            manifest,
            to,
            looks=Looks(
                binary_masks=binary_masks,
                box_masks=box_masks,
                segmenter=SegmenterConfig(max_side=max_side, min_side=min_side),
                max_pixels=max_pixels,
            ),
            allowed=Allowed(local=allow_local, http=allow_http),
            readers=readers,
            shown=shown_on(console, "drawing first masks"),
        )
    for fault in drawn.faults:
        console.print(str(fault))
    console.print(f"wrote {drawn.pictures} pictures of {drawn.videos} videos: {Store(to).url_of(PAGE)}")
    for doubt in ORDER:
        if number := drawn.doubtful[doubt]:
            console.print(f"{number} {doubt}")
    if drawn.faults:
        raise typer.Exit(WRONG_CALL)


@app.command("build")
def build_command(
    source: Annotated[
        str, typer.Argument(metavar="SRC", help="Folder of the dataset, or file of its annotations: path or URL.")
    ],
    output: Annotated[str, typer.Option(help="Manifest to write: path or URL ending in .jsonl, .csv or .parquet.")],
    layout: Annotated[
        Layout, typer.Option(help="How it lies there; pairs: NAME.mp4 beside NAME.png. docs/manifest.md tells of each.")
    ],
    prompts: Annotated[
        PromptChoice, typer.Option(help="Each object's first mask, or all masks; not of pairs.")
    ] = PromptChoice.FIRST,
    set_file: Annotated[
        str | None, typer.Option("--set", help="List of video names, one a line; not of pairs.")
    ] = None,
    resolution: Annotated[
        str | None, typer.Option(help="davis: the resolution folder, where there are several.")
    ] = None,
    binary_masks: BinaryMasksOption = False,
    images: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Of annotations: where pictures or videos lie, if not beside.")
    ] = None,
) -> None:
    """Write a manifest of a dataset's videos and masks."""
    console = stdout()
    with exit_on_error():
        number = build(
            layout,
            source,
            output,
            prompts=prompts,
            set_file=set_file,
            resolution=resolution,
            binary_masks=binary_masks,
            images=images,
            tell=lambda note: console.print(f"note: {note}"),
        )
    console.print(f"wrote {number} videos to {output}")
    flags = " --binary-masks" if binary_masks else ""
    console.print(f"check it: vos-batch manifest check {shlex.quote(output)}{flags}")
    console.print(f"next: vos-batch segment {shlex.quote(output)} OUTPUT{flags}")


@app.command("correct")
def correct_command(
    manifest: Annotated[str, typer.Argument(metavar="MANIFEST", help="Manifest that was segmented: path or URL.")],
    source: Annotated[
        str,
        typer.Option(
            "--from", metavar="SRC", help="What was corrected: folder of VIDEO/FRAME.png, annotations, decisions."
        ),
    ],
    output: Annotated[str, typer.Option(help="Manifest to write: path or URL ending in .jsonl, .csv or .parquet.")],
    layout: Annotated[str, typer.Option(help=f"How it lies there: {', '.join(LAYOUTS)}.")] = MASKS,
    run: Annotated[
        str | None, typer.Option(metavar="OUTPUT", help="What segment wrote: what is as found there is no correction.")
    ] = None,
    new_objects: Annotated[bool, typer.Option("--new-objects", help="Let in ids that the video had not.")] = False,
    binary_masks: BinaryMasksOption = False,
) -> None:
    """Take corrected masks and decisions over as further prompts; only their videos are segmented again."""
    console = stdout()
    with exit_on_error():
        done = correct(
            manifest, source, output, layout=layout, run=run, new_objects=new_objects, binary_masks=binary_masks
        )
    console.print(
        f"wrote {output}: {done.objects} objects on {done.frames} frames of {done.videos} videos are corrected"
    )
    if done.unchanged:
        console.print(f"left as found: {done.unchanged} objects of corrected frames")
    if done.to_draw:
        console.print(
            f"left to draw anew: {done.to_draw} objects of frames, unsure or rejected where nothing was found"
        )
    flags = " --binary-masks" if binary_masks else ""
    console.print(f"next: vos-batch segment {shlex.quote(output)} OUTPUT{flags}")


if __name__ == "__main__":
    app()
