"""`vos-batch review fit` and `score`: what masks are worth without truth, and which of them to look at."""

from collections.abc import Mapping
from typing import Annotated

import pyarrow as pa
import typer
from rich.console import Console
from rich.table import Table

from jobs.evaluation.matching import Truth
from jobs.reviewing.fitting import fit
from jobs.reviewing.plots import check_plot, plot
from jobs.reviewing.quality import DEFAULT_MODEL, load_model
from jobs.reviewing.reliability import Bin, calibration_error, reliability
from jobs.reviewing.samples import one_truth_each, read_samples
from jobs.reviewing.scoring import REVIEWED, ReviewScore, score, write_numbers, write_object_frames
from jobs.terminal.console import exit_on_error, stdout
from jobs.terminal.options import BinaryMasksOption
from pipeline.storage.urls import absolute_url

ModelOption = Annotated[str, typer.Option(metavar="NAME|PATH", help="A model of `review fit`; default: in the box.")]
TruthOption = Annotated[str, typer.Option(metavar="DIR", help="Folder in DAVIS layout with Annotations in it.")]
ResolutionOption = Annotated[str | None, typer.Option(help="The resolution folder, where there are several.")]

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


if __name__ == "__main__":
    app()
