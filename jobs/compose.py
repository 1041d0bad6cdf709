"""`vos-batch compose OUTPUT --stills FOLDER`: clips with exact masks, in DAVIS layout, to measure a checkpoint on.

Made of the stills that training holds back, so that what a checkpoint scores on them it has not learnt; or of squares,
which need none.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated

import numpy as np
import typer

from jobs.datasets.davis import write_sequence
from jobs.terminal.console import exit_on_error, stdout
from jobs.training.compose import draw_clip
from jobs.training.held_back import OBJECTS, Kind, held_back_composition
from jobs.training.motion import Generator
from model.clip import Clip
from model.synthetic import make_squares
from pipeline.errors import InvalidInput
from pipeline.storage.store import Store
from pipeline.storage.urls import absolute_url

_SQUARES = 60


def compose(output: str, draw: Callable[[Generator], Clip], *, clips: int, seed: int) -> None:
    """Write `JPEGImages/clip-NN/*.jpg` and `Annotations/clip-NN/*.png` below a path or URL."""
    store = Store(output)
    for number in range(clips):
        clip = draw(np.random.default_rng([seed, number]))
        write_sequence(store, f"clip-{number:02d}", clip.frames, clip.labels)


def _squares(rng: Generator, *, frames: int, side: int, objects: tuple[int, int]) -> Clip:
    seed, count = int(rng.integers(1 << 31)), int(rng.integers(objects[0], objects[1] + 1))
    try:
        return make_squares(seed, num_frames=frames, height=side, width=side, num_objects=count)
    except ValueError as error:
        raise InvalidInput(f"{error} (--objects, --side)") from error


def _of_stills(
    stills: Sequence[str], kind: Kind, *, frames: int, side: int, objects: tuple[int, int] | None
) -> Callable[[Generator], Clip]:
    composition = held_back_composition(stills, frames=frames, side=side, objects=objects or OBJECTS[kind], kind=kind)
    return partial(draw_clip, composition=composition)


app = typer.Typer(add_completion=False)


@app.command(name="compose")
def compose_command(
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="Folder of the clips: path or URL.")],
    stills: Annotated[
        list[str] | None, typer.Option(metavar="FOLDER", help="images/ and masks/; may be repeated.")
    ] = None,
    kind: Annotated[Kind, typer.Option(help="What is hard about the clips of stills.")] = Kind.SEVERAL,
    squares: Annotated[
        bool, typer.Option("--squares", help="Coloured squares on a plain ground in place of stills.")
    ] = False,
    clips: Annotated[int, typer.Option(min=1)] = 30,
    frames: Annotated[int, typer.Option(min=1, help="Frames a clip.")] = 40,
    side: Annotated[int, typer.Option(min=16, help="Side of the square frames, in pixels.")] = 256,
    objects: Annotated[
        tuple[int, int] | None,
        typer.Option(
            help="Objects a clip: least and most; default: 2 4, small 6 12, thin and returns 1 3, squares 60 60."
        ),
    ] = None,
    seed: int = 0,
) -> None:
    """Compose clips with exact masks, to measure a checkpoint on what is hard."""
    console = stdout()
    with exit_on_error():
        if squares == bool(stills):
            raise InvalidInput("clips are made of stills or of squares: give --stills or --squares, one of them")
        draw = (
            partial(_squares, frames=frames, side=side, objects=objects or (_SQUARES, _SQUARES))
            if squares
            else _of_stills(stills or (), kind, frames=frames, side=side, objects=objects)
        )
        compose(output, draw, clips=clips, seed=seed)
    root = absolute_url(output)
    console.print(f"wrote {clips} clips; next: vos-batch manifest build --layout davis {root} --output FILE.jsonl")


if __name__ == "__main__":
    app()
