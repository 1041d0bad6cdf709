"""`vos-batch review`: what masks are worth without truth, which of them to look at, and whether that pays."""

from collections.abc import Mapping
from typing import Annotated

import pyarrow as pa
import typer
from rich.console import Console
from rich.table import Table

from jobs.evaluation.matching import Truth
from jobs.reviewing.choices import Way
from jobs.reviewing.expected import FILE as EXPECTED_FILE
from jobs.reviewing.expected import write_expected
from jobs.reviewing.fitting import fit
from jobs.reviewing.plots import check_plot, plot
from jobs.reviewing.quality import DEFAULT_MODEL, load_model
from jobs.reviewing.queue import Asking, Budget, QueueItem, review_queue
from jobs.reviewing.queue_file import check_queue_file, write_queue
from jobs.reviewing.reliability import Bin, calibration_error, reliability
from jobs.reviewing.returns import ReturnTest, return_test
from jobs.reviewing.returns_file import FILE as RETURNS_FILE
from jobs.reviewing.same_run import same_config
from jobs.reviewing.samples import one_truth_each, read_samples
from jobs.reviewing.scoring import REVIEWED, ReviewScore, score, write_numbers, write_object_frames
from jobs.reviewing.simulate import DOUBLED, Settings, Simulation, simulate
from jobs.reviewing.trials import Trials
from jobs.terminal.console import INTERRUPTED, exit_on_error, stdout
from jobs.terminal.launch import PoolKind, segment
from jobs.terminal.options import AllowHttpOption, AllowLocalOption, BinaryMasksOption
from jobs.terminal.printable import cell
from jobs.terminal.progress import shown_on
from pipeline.errors import InvalidInput
from pipeline.input.manifest import read_manifest
from pipeline.input.origin import Allowed
from pipeline.run.device import Device
from pipeline.scratch import Scratch
from pipeline.storage.store import Store
from pipeline.storage.urls import absolute_url

ModelOption = Annotated[str, typer.Option(metavar="NAME|PATH", help="A model of `review fit`; default: in the box.")]
TruthOption = Annotated[str, typer.Option(metavar="DIR", help="Folder in DAVIS layout with Annotations in it.")]
ResolutionOption = Annotated[str | None, typer.Option(help="The resolution folder, where there are several.")]
_SHOWN = 10
_SILENT = Console(quiet=True)

app = typer.Typer(no_args_is_help=True)


@app.callback()
def review() -> None:
    """Find the masks that a person should look at."""


@app.command("fit")
def fit_command(
    outputs: Annotated[list[str], typer.Argument(metavar="OUTPUT...", help="What segment wrote: paths or URLs.")],
    truth: Annotated[
        list[str],
        typer.Option(metavar="DIR", help="Folder in DAVIS layout with Annotations; one, or one for each OUTPUT."),
    ],
    to: Annotated[str, typer.Option(metavar="MODEL.json", help="Model to write: path or URL.")],
    resolution: ResolutionOption = None,
    binary_masks: BinaryMasksOption = False,
) -> None:
    """Fit a model of expected J on outputs with a truth."""
    console = stdout()
    with exit_on_error():
        videos: list[pa.Table] = []
        for output, root in one_truth_each(outputs, truth):
            samples = read_samples(output, Truth(root, resolution=resolution, binary_masks=binary_masks))
            videos += samples.videos.values()
            _show_skipped(samples.skipped, console)
        fitted = fit(videos)
        fitted.model.save(to)
        bins = reliability(fitted.expected, fitted.J, fitted.video_N)
    console.print(f"{len(videos)} videos, {len(fitted.J):,} object-frames; each expected by a model of other videos:")
    _show_reliability(bins, console)
    console.print(f"wrote {absolute_url(to)} ({fitted.model.fingerprint})")


def _show_skipped(skipped: Mapping[str, str], console: Console) -> None:
    for video_id, reason in skipped.items():
        console.print(f"skipped: {video_id}: {reason}")


def _show_reliability(bins: list[Bin], console: Console) -> None:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in ("expected J", "object-frames", "videos", "mean expected", "mean measured"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in bins:
        counts = (f"{one.number:,}", f"{one.videos:,}")
        table.add_row(f"{one.low:.1f}-{one.high:.1f}", *counts, f"{one.expected:.3f}", f"{one.measured:.3f}")
    console.print(table)
    console.print(f"mean distance of expected from measured J: {calibration_error(bins):.3f}")


@app.command("expect")
def expect_command(
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="What segment wrote: path or URL.")],
    model: ModelOption = DEFAULT_MODEL,
) -> None:
    """Write the J expected of every mask beside the tables of OUTPUT."""
    console = stdout()
    with exit_on_error():
        number = write_expected(output, load_model(model))
    console.print(f"wrote {number:,} rows to {Store(output).url_of(EXPECTED_FILE)}")


@app.command("score")
def score_command(
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="What segment wrote: path or URL.")],
    truth: TruthOption,
    model: ModelOption = DEFAULT_MODEL,
    resolution: ResolutionOption = None,
    to_plot: Annotated[
        str | None, typer.Option("--plot", metavar="FILE", help="Also draw the curves: .png or .svg.")
    ] = None,
    parquet: Annotated[
        str | None, typer.Option(metavar="FILE", help="Also write expected J and J of every object-frame.")
    ] = None,
    to_json: Annotated[str | None, typer.Option("--json", metavar="FILE", help="Also write the numbers.")] = None,
    binary_masks: BinaryMasksOption = False,
) -> None:
    """Score how many bad masks of OUTPUT a review by expected J finds."""
    console = stdout()
    with exit_on_error():
        if to_plot is not None:
            check_plot(to_plot)
        found = Truth(truth, resolution=resolution, binary_masks=binary_masks)
        scored = score(output, found, load_model(model))
        _show_score(scored, console)
        if to_plot is not None:
            plot(to_plot, scored)
            console.print(f"wrote {absolute_url(to_plot)}")
        if parquet is not None:
            number = write_object_frames(parquet, scored)
            console.print(f"wrote {number:,} rows to {absolute_url(parquet)}")
        if to_json is not None:
            write_numbers(to_json, scored)
            console.print(f"wrote {absolute_url(to_json)}")


def _show_score(scored: ReviewScore, console: Console) -> None:
    content = scored.content()
    counts = f"{content['videos']:,} videos, {content['object_frames']:,} object-frames"
    console.print(f"{counts}, {content['bad']:,} of them bad (J < 0.5)")
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, title="bad masks found", title_justify="left")
    table.add_column("by")
    for share in REVIEWED:
        table.add_column(f"{share:.0%}", justify="right", no_wrap=True)
    for heading in ("AUROC", "AURC", "Spearman"):
        table.add_column(heading, justify="right", no_wrap=True)
    orders = content["orders"]
    for name, order in orders.items():
        found = [_shown(one["found"]) for one in order["shares"]]
        table.add_row(name, *found, *(_shown(order[key]) for key in ("auroc", "aurc", "spearman")))
    first = next(iter(orders.values()))
    table.add_row("oracle", *(_shown(one["oracle"]) for one in first["shares"]), "1.00", _shown(first["oracle_aurc"]))
    table.add_row("random", *(f"{share:.2f}" for share in REVIEWED), "0.50")
    console.print(table)
    for name, order in orders.items():
        gains = ", ".join(f"{_shown(one['gain'])} at {one['reviewed']:.0%}" for one in order["shares"])
        console.print(f"{name}: (found - random) / (oracle - random) is {gains}")
    _show_skipped(scored.skipped, console)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _queue(items: list[QueueItem]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("video", overflow="fold")
    for heading in ("object", "frame", "event", "expected J", "mends"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("because", overflow="fold")
    for item in items[:_SHOWN]:
        numbers = (f"{item.first_frame}-{item.last_frame}", f"{item.expected_j:.2f}", f"{item.expected_gain:.1f}")
        where = (str(item.object_id), str(item.frame_index))
        table.add_row(cell(item.video_id), *where, *numbers, cell("; ".join(item.reasons)))
    return table


@app.command("queue")
def queue_command(
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="What segment wrote: path or URL.")],
    to: Annotated[
        str, typer.Option(metavar="FILE", help="File to write: path or URL ending in .parquet, .csv, .json.")
    ],
    budget: Annotated[
        str, typer.Option(metavar="5%|N", help="A share of the object-frames, or a number of items.")
    ] = "5%",
    per_video: Annotated[int | None, typer.Option(metavar="N", min=1, help="Items of a video at most.")] = None,
    whole_frames: Annotated[
        bool, typer.Option("--whole-frames", help="An item is a frame, in which all objects are corrected.")
    ] = False,
    model: ModelOption = DEFAULT_MODEL,
) -> None:
    """List the object-frames that a person should look at first, by what a correction there is expected to mend."""
    console = stdout()
    with exit_on_error():
        check_queue_file(to)
        asking = Asking(per_video=per_video, whole_frames=whole_frames)
        shown = shown_on(console, "reading masks")
        items = review_queue(output, load_model(model), Budget.of(budget), asking, shown=shown)
        write_queue(to, items)
    if items:
        console.print(_queue(items))
    mended, videos = sum(item.expected_gain for item in items), len({item.video_id for item in items})
    console.print(f"wrote {absolute_url(to)}: {len(items):,} items of {videos:,} videos")
    console.print(f"correcting them is expected to mend as much as {mended:,.1f} wrong masks")


def _steps(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(step) for step in text.split(","))
    except ValueError:
        raise InvalidInput(f"--steps is {text!r}: give numbers of frames, as 1,2,4,8") from None


def _ways(text: str) -> tuple[Way, ...]:
    try:
        return tuple(Way(way.strip()) for way in text.split(","))
    except ValueError:
        raise InvalidInput(f"--ways is {text!r}: give some of {','.join(Way)}") from None


def _curves(found: Simulation) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for heading in ("way", "frames corrected", "J&F", "J&F over object-frames"):
        table.add_column(heading, justify="left" if heading == "way" else "right", no_wrap=True)
    for way, points in found.curves.items():
        for point in points:
            table.add_row(str(way), f"{point.corrected:g}", f"{point.J_and_F:.3f}", f"{point.by_frames:.3f}")
    return table


def _say_half(found: Simulation, console: Console) -> None:
    halves = {way: found.frames_for_half(way) for way in found.curves}
    for way, frames in halves.items():
        most = found.curves[way][-1].corrected
        said = f"not reached with {most:g}" if frames is None else f"{frames:.1f}"
        console.print(f"frames to correct for half of the missing J&F, {way}: {said} of {found.candidates:,}")
    queue, uniform = halves.get(Way.QUEUE), halves.get(Way.UNIFORM)
    if queue is not None and uniform:
        console.print(f"queue / uniform: {queue / uniform:.2f}")


@app.command("simulate")
def simulate_command(
    manifest: Annotated[str, typer.Argument(metavar="MANIFEST", help="What was segmented: path or URL.")],
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="What segment made of it: path or URL.")],
    truth: TruthOption,
    resolution: ResolutionOption = None,
    steps: Annotated[
        str | None, typer.Option(metavar="1,2,4", help="Frames to correct; default: doubled up to half of the missing.")
    ] = None,
    ways: Annotated[str, typer.Option(help=f"How they are chosen: some of {','.join(Way)}.")] = ",".join(Way),
    rounds: Annotated[bool, typer.Option("--rounds", help="Make the queue anew from the masks of each step.")] = False,
    draws: Annotated[int, typer.Option(min=1, help="Of random frames; the mean is told.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the first draw.")] = 0,
    to: Annotated[
        str | None, typer.Option(metavar="DIR", help="Keep what is segmented there, and go on from it: path or URL.")
    ] = None,
    model: ModelOption = DEFAULT_MODEL,
    checkpoint: Annotated[
        str | None, typer.Option(metavar="NAME|PATH", help="Where the weights of OUTPUT lie, if they were moved.")
    ] = None,
    device: Annotated[Device, typer.Option(help="auto: the GPU where there is one.")] = "auto",
    pool: Annotated[PoolKind | None, typer.Option(help="As for segment.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="As for segment.")] = None,
    allow_local: AllowLocalOption = False,
    allow_http: AllowHttpOption = False,
) -> None:
    """Correct frames with the truth, segment again, and count what that gains: by queue, equally spaced, at random."""
    console = stdout()
    with exit_on_error(), Scratch() as scratch:
        given = _steps(steps) if steps is not None else DOUBLED
        settings = Settings(
            ways=_ways(ways), steps=given, rounds=rounds, draws=draws, seed=seed, all_steps=steps is not None
        )
        quality = load_model(model)
        config = same_config(absolute_url(output), checkpoint=checkpoint, device=device)
        trials = Trials(
            read_manifest(manifest, Allowed(local=allow_local, http=allow_http)),
            config,
            Truth(truth, resolution=resolution, binary_masks=config.binary_masks),
            to or str(scratch.folder),
            lambda tasks, config: segment(tasks, config, console=_SILENT, pool=pool, workers=workers),
        )
        try:
            found = simulate(trials, quality, settings, tell=console.print)
        except KeyboardInterrupt:
            console.print("interrupted: with --to, the same command goes on from what is complete")
            raise typer.Exit(INTERRUPTED) from None
    for note in found.notes:
        console.print(f"note: {note}")
    console.print(_curves(found))
    _say_half(found, console)


@app.command("return")
def return_command(
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="What segment wrote: path or URL.")],
    manifest: Annotated[str, typer.Argument(metavar="MANIFEST", help="That it was made from: path or URL.")],
    sample: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Only N videos, by chance but always the same.")
    ] = None,
    to: Annotated[
        str | None, typer.Option(metavar="FILE.parquet", help="Default: OUTPUT/review/returns.parquet.")
    ] = None,
    device: Annotated[Device, typer.Option(help="auto: the GPU where there is one.")] = "auto",
    allow_local: AllowLocalOption = False,
    allow_http: AllowHttpOption = False,
) -> None:
    """Propagate videos back from their last masks: J against the given masks is a score without truth."""
    console = stdout()
    with exit_on_error():
        if to is not None and not to.endswith(".parquet"):
            raise InvalidInput(f"--to: {to}: returns are a file that ends in .parquet")
        tasks = read_manifest(manifest, Allowed(local=allow_local, http=allow_http))
        shown = shown_on(console, "propagating back")
        found = return_test(output, tasks, sample=sample, to=to, device=device, shown=shown)
    _show_returns(found, console)
    _show_skipped(found.skipped, console)
    console.print(f"wrote {absolute_url(to) if to else Store(output).url_of(RETURNS_FILE)}")


def _show_returns(found: ReturnTest, console: Console) -> None:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("video", overflow="fold")
    for heading in ("object", "return J", "frames"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in found.returns[:_SHOWN]:
        table.add_row(cell(one.video_id), str(one.object_id), _shown(one.return_j), str(one.frames))
    console.print(table)
    values = [one.return_j for one in found.returns if one.return_j is not None]
    more = f"{len(found.returns) - _SHOWN} more, " if len(found.returns) > _SHOWN else ""
    mean = f"mean {sum(values) / len(values):.2f}" if values else "none came back to a mask"
    console.print(f"{more}{len(found.returns)} objects, {mean}")


if __name__ == "__main__":
    app()
