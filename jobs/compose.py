"""`vos-batch compose OUTPUT --stills FOLDER`: clips with several objects and exact masks, in DAVIS layout.

Made of the stills that training holds back, so that what a checkpoint scores on them it has not learnt.
"""

import io

import numpy as np
import typer
from PIL import Image

from jobs.pictures.overlay import object_colour
from jobs.terminal.console import exit_on_error, stdout
from jobs.training.compose import Composition, draw_clip
from jobs.training.motion import LabelMap, Picture
from jobs.training.sources import MovedStills, read_stills, usable
from model.synthetic import Clip
from pipeline.storage.store import Store
from pipeline.storage.urls import absolute_url

_JPEG_QUALITY = 92


def held_back_composition(stills: list[str], *, frames: int, side: int, objects: tuple[int, int]) -> Composition:
    """Slow clips of held-back stills: every second cut-out is the double of an object that is there already."""
    pictures = usable([still for folder in stills for still in read_stills(folder, held_back=True)])
    return Composition(
        sources=[MovedStills(pictures)],
        shares=[1.0],
        cutouts=pictures,
        frames=frames,
        side=side,
        min_objects=objects[0],
        max_objects=objects[1],
        pastes=2.0,
        lookalikes=0.5,
        newcomers=0.0,
        generated=0.0,
        speed=0.4,
    )


def compose(output: str, composition: Composition, *, clips: int, seed: int) -> None:
    """Write `JPEGImages/clip-NN/*.jpg` and `Annotations/clip-NN/*.png` below a path or URL."""
    store = Store(output)
    for number in range(clips):
        clip = draw_clip(np.random.default_rng([seed, number]), composition)
        _write(store, f"clip-{number:02d}", clip)


def _write(store: Store, name: str, clip: Clip) -> None:
    for t, (frame, labels) in enumerate(zip(clip.frames, clip.labels, strict=True)):
        store.put(f"JPEGImages/{name}/{t:05d}.jpg", _jpeg(frame))
        store.put(f"Annotations/{name}/{t:05d}.png", _palette_png(labels))


def _jpeg(frame: Picture) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def _palette_png(labels: LabelMap) -> bytes:
    picture = Image.fromarray(labels)
    picture.putpalette(
        [channel for number in range(256) for channel in (object_colour(number) if number else (0, 0, 0))]
    )
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


app = typer.Typer(add_completion=False)


@app.command(name="compose")
def compose_command(
    output: str = typer.Argument(metavar="OUTPUT", help="Folder of the clips: path or URL."),
    stills: list[str] = typer.Option(..., metavar="FOLDER", help="images/ and masks/; may be repeated."),
    clips: int = typer.Option(30, min=1),
    frames: int = typer.Option(40, min=1, help="Frames a clip."),
    side: int = typer.Option(256, min=16, help="Side of the square frames, in pixels."),
    objects: tuple[int, int] = typer.Option((2, 4), help="Objects a clip: least and most."),
    seed: int = typer.Option(0),
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
