"""`vos-batch compose OUTPUT --stills FOLDER`: clips with several objects and exact masks, in DAVIS layout.

Made of the stills that training holds back, so that what a checkpoint scores on them it has not learnt.
"""

from typing import Annotated

import numpy as np
import typer

from jobs.datasets.davis import write_sequence
from jobs.terminal.console import exit_on_error, stdout
from jobs.training.compose import Composition, draw_clip
from jobs.training.held_back import held_back_composition
from pipeline.storage.store import Store
from pipeline.storage.urls import absolute_url


def compose(output: str, composition: Composition, *, clips: int, seed: int) -> None:
    """Write `JPEGImages/clip-NN/*.jpg` and `Annotations/clip-NN/*.png` below a path or URL."""
    store = Store(output)
    for number in range(clips):
        clip = draw_clip(np.random.default_rng([seed, number]), composition)
        write_sequence(store, f"clip-{number:02d}", clip.frames, clip.labels)


app = typer.Typer(add_completion=False)


@app.command(name="compose")
def compose_command(
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="Folder of the clips: path or URL.")],
    stills: Annotated[list[str], typer.Option(metavar="FOLDER", help="images/ and masks/; may be repeated.")],
    clips: Annotated[int, typer.Option(min=1)] = 30,
    frames: Annotated[int, typer.Option(min=1, help="Frames a clip.")] = 40,
    side: Annotated[int, typer.Option(min=16, help="Side of the square frames, in pixels.")] = 256,
    objects: Annotated[tuple[int, int], typer.Option(help="Objects a clip: least and most.")] = (2, 4),
    seed: int = 0,
) -> None:
    """Compose clips of held-back stills, to measure a checkpoint on several objects."""
    console = stdout()
    with exit_on_error():
        composition = held_back_composition(stills, frames=frames, side=side, objects=objects)
        compose(output, composition, clips=clips, seed=seed)
    root = absolute_url(output)
    console.print(f"wrote {clips} clips; next: vos-batch manifest build --layout davis {root} --output FILE.jsonl")


if __name__ == "__main__":
    app()
