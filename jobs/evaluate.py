"""`vos-batch evaluate OUTPUT --truth DIR`: J and F of the masks in an output, by the protocol of DAVIS 2017."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from jobs.datasets import listing
from jobs.evaluation.scores import Evaluation, Protocol, SequenceScore, write_scores
from jobs.evaluation.scoring import evaluate
from jobs.terminal.console import exit_on_error, stdout
from jobs.terminal.options import BinaryMasksOption
from jobs.terminal.printable import cell
from model.metrics import Scores, mean_scores
from pipeline.storage.urls import absolute_url


def _show(evaluation: Evaluation, console: Console) -> None:
    console.print(_table(evaluation))
    console.print(f"mean over sequences: J&F {evaluation.mean_over_sequences}")
    correlation, number = evaluation.uncertainty_correlation, len(evaluation.uncertainty_and_error)
    if correlation is not None:
        console.print(f"uncertainty against 1 - J: Spearman {correlation:.2f} over {number:,} object-frames")
    for sequence in evaluation.sequences:
        for note in sequence.notes:
            console.print(f"note: {sequence.video_id}: {note}")
    for video_id, reason in evaluation.skipped.items():
        console.print(f"skipped: {video_id}: {reason}")
    if missing := evaluation.not_segmented:
        console.print(f"{len(missing)} sequences of the truth are not in this output: {listing.few(missing)}")


def _table(evaluation: Evaluation) -> Table:
    # Narrow: every number must stay readable in 80 columns.
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, title=_title(evaluation), title_justify="left")
    table.add_column("sequence", overflow="fold")
    for heading in ("object", "frames", "J&F", "J", "recall", "decay", "F", "recall", "decay"):
        table.add_column(heading, justify="right", no_wrap=True)
    for sequence in evaluation.sequences:
        _add_sequence(table, sequence)
    table.add_row()
    _add(table, "all objects", "mean", mean_scores(evaluation.objects))
    return table


def _title(evaluation: Evaluation) -> str:
    counts = f"{len(evaluation.sequences)} sequences, {len(evaluation.objects)} objects"
    return f"{counts}, protocol {evaluation.protocol}"


def _add_sequence(table: Table, sequence: SequenceScore) -> None:
    for score in sequence.objects:
        _add(table, sequence.video_id, str(score.object_id), score)
    if len(sequence.objects) > 1:
        _add(table, sequence.video_id, "mean", mean_scores(sequence.objects))


def _add(table: Table, sequence: str, objects: str, scores: Scores) -> None:
    measures = (scores.J_and_F, scores.J, scores.J_recall, scores.J_decay, scores.F, scores.F_recall, scores.F_decay)
    table.add_row(cell(sequence), objects, f"{scores.num_frames:,}", *(f"{value:.3f}" for value in measures))


app = typer.Typer(add_completion=False)


@app.command(name="evaluate")
def evaluate_command(
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="What segment wrote: path or URL.")],
    truth: Annotated[
        str, typer.Option(metavar="DIR", help="Folder in DAVIS layout with Annotations in it: path or URL.")
    ],
    resolution: Annotated[str | None, typer.Option(help="The resolution folder, where there are several.")] = None,
    all_frames: Annotated[
        bool,
        typer.Option(
            "--all-frames", help="Score each object from its first annotation on, not by the DAVIS 2017 protocol."
        ),
    ] = False,
    parquet: Annotated[
        str | None, typer.Option(metavar="FILE", help="Also write the scores to this path or URL.")
    ] = None,
    binary_masks: BinaryMasksOption = False,
) -> None:
    """Score the masks of OUTPUT: J, F, J&F, recall and decay."""
    console = stdout()
    with exit_on_error():
        evaluation = evaluate(
            output,
            truth,
            resolution=resolution,
            protocol=Protocol.ALL_FRAMES if all_frames else Protocol.DAVIS2017,
            binary_masks=binary_masks,
        )
        _show(evaluation, console)
        if parquet is not None:
            number = write_scores(parquet, evaluation)
            console.print(f"wrote {number} rows to {absolute_url(parquet)}")


if __name__ == "__main__":
    app()
