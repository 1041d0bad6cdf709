"""Options that several commands share."""

from typing import Annotated

import typer

from pipeline.input.box_masks import BoxMasks

CheckpointOption = Annotated[str, typer.Option(metavar="NAME|PATH", help="Weights, as for segment.")]
AllowLocalOption = Annotated[bool, typer.Option("--allow-local", help="A manifest from a store may name local files.")]
AllowHttpOption = Annotated[bool, typer.Option("--allow-http", help="A manifest from a store may name http:// URLs.")]
BinaryMasksOption = Annotated[bool, typer.Option("--binary-masks", help="255 is the object (DAVIS-2016).")]
BoxMasksOption = Annotated[
    BoxMasks,
    typer.Option(help="How boxes become masks; network: what it makes of grabcut, which is an ellipse at a loss."),
]
MaxPixelsOption = Annotated[int, typer.Option(min=1, help="Refuse videos and masks with larger frames.")]
