"""Options that several commands share."""

from typing import Annotated

import typer

CheckpointOption = Annotated[str, typer.Option(metavar="NAME|PATH", help="Weights, as for segment.")]
BinaryMasksOption = Annotated[bool, typer.Option("--binary-masks", help="255 is the object (DAVIS-2016).")]
MaxPixelsOption = Annotated[int, typer.Option(min=1, help="Refuse videos and masks with larger frames.")]
