"""`vos-batch evaluate OUTPUT --truth DIR`: J and F of the masks in an output, by the protocol of DAVIS 2017.

The masks come from the tables, the truth from a folder in DAVIS layout. One video is read at a time and its frames
one after the other, so memory grows neither with the number of videos nor with the size of their masks.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs import listing
from jobs.console import exit_on_error, stdout
from model.metrics import ObjectScore, Scores, SequenceScorer, mean_scores, rank_correlation
from model.result import Labels
from pipeline import rle, tables
from pipeline.annotations import read_mask
from pipeline.errors import InvalidInput
from pipeline.frame_folder import natural_key
from pipeline.overlap import Ahead
from pipeline.storage import Store
from pipeline.urls import absolute_url, name_of, parent_url

_MASKS, _MASK_SUFFIX = "Annotations", ".png"
_FRAME_COLUMNS = ["frame_index", "frame_name", "prompted"]
_MASK_COLUMNS = ["frame_index", "object_id", "height", "width", "rle", "uncertainty"]
_ROWS_PER_BATCH = 1024
_TRUTHS_AHEAD = 4


class Protocol(StrEnum):
    """Which frames and objects are scored."""

    DAVIS2017 = "davis2017"
    """Objects 1 to the largest of the truth, on all frames but the first and the last."""
    ALL_FRAMES = "all-frames"
    """The truth's objects, each from its first annotation on, on all frames without a prompt."""


@dataclass(frozen=True, kw_only=True)
class SequenceScore:
    """One video's objects."""

    video_id: str
    objects: tuple[ObjectScore, ...]
    """By ascending id, at least one."""
    uncertainty_and_error: tuple[tuple[float, float], ...] = field(repr=False)
    """Of each scored object-frame that has an uncertainty: this, and 1 - J."""
    notes: tuple[str, ...] = ()
    """What a reader of the numbers must know."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The scores of an output."""

    protocol: Protocol
    sequences: tuple[SequenceScore, ...]
    """In natural order of their ids, at least one."""
    skipped: dict[str, str]
    """Why a video of the output has no score, by video_id."""
    not_segmented: tuple[str, ...]
    """Sequences of the truth that the output lacks."""

    @property
    def objects(self) -> list[ObjectScore]:
        """All objects of all sequences: the benchmark's means are over these."""
        return [score for sequence in self.sequences for score in sequence.objects]

    @property
    def uncertainty_and_error(self) -> list[tuple[float, float]]:
        """`uncertainty_and_error` of all sequences."""
        return [pair for sequence in self.sequences for pair in sequence.uncertainty_and_error]

    @property
    def uncertainty_correlation(self) -> float | None:
        """Spearman's rank correlation of uncertainty with 1 - J over object-frames: 1 if it sorts them by their error.

        None for fewer than three object-frames, or where all have the same uncertainty or the same J.
        """
        return rank_correlation(self.uncertainty_and_error)


def evaluate(
    output: str,
    truth: str,
    *,
    resolution: str | None = None,
    protocol: str = "davis2017",
    binary_masks: bool = False,
) -> Evaluation:
    """J and F of every video of `output` that has a truth (paths or URLs).

    `truth` holds `Annotations/[RESOLUTION/]VIDEO/*.png`, VIDEO being the video_id; a mask belongs to the frame of
    its name, in a video file to the frame at its position. `protocol` is a value of Protocol. `binary_masks`: 255
    is the object. Raises InvalidOutput for a folder that is not ours, InvalidInput when nothing can be scored or
    sizes differ, InvalidPrompt for a mask that cannot be read, StoreUnavailable.
    """
    scorer = _Evaluator(output, _truth_folder(Store(truth), resolution), Protocol(protocol), binary_masks)
    return scorer.evaluate()


def write_scores(url: str, evaluation: Evaluation) -> int:
    """Write one row per object and sequence as Parquet to a path or URL; the number of rows.

    Units and meanings are in the field metadata. Raises InvalidOutput, StoreUnavailable.
    """
    rows = [_row(evaluation, sequence, score) for sequence in evaluation.sequences for score in sequence.objects]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=SCORES), buffer, compression="zstd")
    Store(parent_url(url)).put(name_of(url), buffer.getvalue())
    return len(rows)


def _measure(name: str, description: str, unit: str = "0..1") -> pa.Field:
    return pa.field(name, pa.float64(), nullable=False, metadata={"description": description, "unit": unit})


SCORES = pa.schema(
    [
        pa.field("video_id", pa.string(), nullable=False, metadata={"description": "the manifest's video_id"}),
        pa.field("object_id", pa.int32(), nullable=False, metadata={"description": "the id in the truth's masks"}),
        pa.field(
            "protocol",
            pa.string(),
            nullable=False,
            metadata={
                "description": "davis2017: all frames with a truth but the first and the last; "
                "all-frames: from the object's first annotation on, without prompted frames"
            },
        ),
        pa.field("num_frames", pa.int64(), nullable=False, metadata={"description": "scored frames", "unit": "frames"}),
        _measure("J_and_F", "mean of J and F"),
        _measure("J", "mean intersection over union of the masks"),
        _measure("J_recall", "share of the frames with J > 0.5"),
        _measure("J_decay", "mean J of the first quarter of the frames minus that of the last", "-1..1"),
        _measure("F", "mean boundary accuracy within 0.008 of the diagonal"),
        _measure("F_recall", "share of the frames with F > 0.5"),
        _measure("F_decay", "mean F of the first quarter of the frames minus that of the last", "-1..1"),
    ],
    metadata={"table": "scores"},
)
"""One row per object and sequence."""


def _row(evaluation: Evaluation, sequence: SequenceScore, score: ObjectScore) -> dict[str, object]:
    given = {"video_id": sequence.video_id, "protocol": evaluation.protocol.value}
    return given | {name: getattr(score, name) for name in SCORES.names if name not in given}


class _NotScored(Exception):
    """Why a video has no score."""


@dataclass(frozen=True, kw_only=True)
class _TruthMask:
    name: str
    frame_index: int
    prompted: bool


class _Prediction(NamedTuple):
    labels: Labels
    uncertainty: dict[int, float | None]
    """By object."""


class _Evaluator:
    """One output and its truth."""

    def __init__(self, output: str, truth: Store, protocol: Protocol, binary_masks: bool) -> None:
        self._truth = truth
        self._protocol = protocol
        self._binary_masks = binary_masks
        self._videos = tables.open(output, "videos")
        self._frames = tables.open(output, "frames")
        self._masks = tables.open(output, "masks")

    def evaluate(self) -> Evaluation:
        truths = listing.folders(self._truth)
        sequences, skipped = [], {}
        sizes = self._sizes()
        for video_id in sorted(sizes, key=natural_key):
            try:
                if video_id not in truths:
                    raise _NotScored(f"no folder of its name in {self._truth.url}")
                sequences.append(self._sequence(video_id, sizes[video_id]))
            except _NotScored as reason:
                skipped[video_id] = str(reason)
        if not sequences:
            raise InvalidInput(_nothing(self._truth.url, skipped))
        return Evaluation(
            protocol=self._protocol,
            sequences=tuple(sequences),
            skipped=skipped,
            not_segmented=tuple(name for name in truths if name not in sizes),
        )

    def _sizes(self) -> dict[str, tuple[int, int]]:
        """Height and width by video_id."""
        rows = self._videos.to_table(columns=["video_id", "height", "width"]).to_pylist()
        return {row["video_id"]: (row["height"], row["width"]) for row in rows}

    def _sequence(self, video_id: str, size: tuple[int, int]) -> SequenceScore:
        frames = self._frames.to_table(columns=_FRAME_COLUMNS, filter=pc.field("video_id") == video_id).to_pylist()
        names = listing.files(self._truth, _MASK_SUFFIX, video_id)
        masks = _belonging(names, frames, self._truth.url_of(video_id))
        scorer, uncertainties = SequenceScorer(), []
        predictions = _predictions(self._mask_rows(video_id), [mask.frame_index for mask in masks], size)
        with Ahead(self._truths(video_id, masks, size), _TRUTHS_AHEAD) as truths:
            for mask, truth, prediction in zip(masks, truths, predictions, strict=True):
                scorer.add(prediction.labels, truth, prompted=mask.prompted)
                uncertainties.append(prediction.uncertainty)
        notes = [*_notes_on_frames(names, masks, frames), *self._notes_on_objects(scorer)]
        objects = self._objects(scorer)
        return SequenceScore(
            video_id=video_id,
            objects=objects,
            uncertainty_and_error=tuple(_uncertainty_and_error(objects, uncertainties)),
            notes=tuple(notes),
        )

    def _mask_rows(self, video_id: str) -> Iterator[dict[str, Any]]:
        """In the file's order, by frame and object; few of them at a time."""
        batches = self._masks.to_batches(
            columns=_MASK_COLUMNS,
            filter=pc.field("video_id") == video_id,
            batch_size=_ROWS_PER_BATCH,
            batch_readahead=1,
            fragment_readahead=1,
        )
        for batch in batches:
            yield from batch.to_pylist()

    def _truths(self, video_id: str, masks: Sequence[_TruthMask], size: tuple[int, int]) -> Iterator[Labels]:
        for mask in masks:
            name = f"{video_id}/{mask.name}"
            where = f"video {video_id!r}, frame {mask.frame_index}: truth {self._truth.url_of(name)}"
            labels = read_mask(self._truth.get(name), where, binary_masks=self._binary_masks)
            _check_size(labels, size, where)
            yield labels

    def _objects(self, scorer: SequenceScorer) -> tuple[ObjectScore, ...]:
        if self._protocol is Protocol.ALL_FRAMES:
            found = scorer.all_frames()
            reason = "no object of the truth is in a frame without a prompt"
        else:
            found = _davis2017(scorer)
            reason = "the truth shows no object"
        if not found:
            raise _NotScored(reason)
        return tuple(found)

    def _notes_on_objects(self, scorer: SequenceScorer) -> Iterator[str]:
        absent = scorer.absent_objects()
        if absent and self._protocol is Protocol.DAVIS2017:
            yield (
                f"the truth never shows {len(absent)} of the ids below its largest ({listing.few(map(str, absent))}); "
                "the protocol counts them as objects, --all-frames does not"
            )


def _davis2017(scorer: SequenceScorer) -> list[ObjectScore]:
    try:
        return scorer.davis2017()
    except ValueError as error:
        raise _NotScored(f"{error}; use --all-frames") from None


def _truth_folder(root: Store, resolution: str | None) -> Store:
    """The folder that holds the sequences' folders."""
    folders = listing.folders(root, _MASKS)
    if not folders:
        raise InvalidInput(f"{root.url} has no {_MASKS} with folders in it: name the folder that holds it as --truth")
    if not listing.folders(root, f"{_MASKS}/{folders[0]}"):
        if resolution is not None:
            raise InvalidInput(f"{root.url_of(_MASKS)} has no resolution folders: leave out --resolution")
        return Store(root.url_of(_MASKS))
    level = folders[0] if resolution is None and len(folders) == 1 else resolution
    if level not in folders:
        raise InvalidInput(
            f"{root.url_of(_MASKS)} has the resolutions {listing.few(folders)}: choose one of them with --resolution"
        )
    return Store(root.url_of(f"{_MASKS}/{level}"))


def _belonging(names: Sequence[str], frames: Sequence[dict[str, Any]], url: str) -> list[_TruthMask]:
    """The truth's masks that belong to a frame, in the order of the frames."""
    frame_of = {_key(frame): frame for frame in frames}
    keys = [listing.stem(name) for name in names] if _is_folder(frames) else range(len(names))
    found = [
        _TruthMask(name=name, frame_index=frame["frame_index"], prompted=frame["prompted"])
        for name, frame in zip(names, map(frame_of.get, keys), strict=True)
        if frame is not None
    ]
    if not found:
        raise _NotScored(f"none of the {len(names)} masks in {url} belongs to one of its {len(frames)} frames")
    return sorted(found, key=lambda mask: mask.frame_index)


def _is_folder(frames: Sequence[dict[str, Any]]) -> bool:
    return bool(frames) and frames[0]["frame_name"] is not None


def _key(frame: dict[str, Any]) -> str | int:
    """What says which mask is a frame's: its name, or in video files its position."""
    name, index = frame["frame_name"], frame["frame_index"]
    return int(index) if name is None else listing.stem(name)


def _notes_on_frames(
    names: Sequence[str], masks: Sequence[_TruthMask], frames: Sequence[dict[str, Any]]
) -> Iterator[str]:
    if len(masks) < len(names):
        yield f"{len(names) - len(masks)} of {len(names)} masks of the truth belong to no segmented frame"
    elif len(names) <= frames[-1]["frame_index"] and not _is_folder(frames):
        yield f"the truth has {len(names)} masks: they count as frames 0 to {len(names) - 1} of the video"


def _predictions(
    rows: Iterable[dict[str, Any]], frame_indices: Iterable[int], size: tuple[int, int]
) -> Iterator[_Prediction]:
    """What is predicted of the wanted frames, both in ascending order; a frame without rows is background."""
    by_frame = groupby(rows, key=itemgetter("frame_index"))
    index, objects = next(by_frame, (None, iter(())))
    for wanted in frame_indices:
        while index is not None and index < wanted:
            index, objects = next(by_frame, (None, iter(())))
        yield _drawn(objects if index == wanted else (), size)


def _drawn(objects: Iterable[dict[str, Any]], size: tuple[int, int]) -> _Prediction:
    drawn = _Prediction(np.zeros(size, np.int32), {})
    for row in objects:
        drawn.labels[rle.decode(row["rle"], row["height"], row["width"])] = row["object_id"]
        drawn.uncertainty[row["object_id"]] = row["uncertainty"]
    return drawn


def _uncertainty_and_error(
    objects: Iterable[ObjectScore], uncertainties: Sequence[dict[int, float | None]]
) -> Iterator[tuple[float, float]]:
    for score in objects:
        for frame, J in zip(score.frames, score.J_by_frame, strict=True):
            uncertainty = uncertainties[frame].get(score.object_id)
            if uncertainty is not None:
                yield uncertainty, 1 - J


def _check_size(labels: Labels, size: tuple[int, int], where: str) -> None:
    if labels.shape != size:
        raise InvalidInput(
            f"{where} is {labels.shape[1]} x {labels.shape[0]}, the segmented video {size[1]} x {size[0]} "
            "(width x height); choose the truth of the video's size (--resolution)"
        )


def _nothing(truth: str, skipped: dict[str, str]) -> str:
    if not skipped:
        return "no video is complete in this output: run `vos-batch segment` first"
    first, reason = next(iter(skipped.items()))
    return f"none of the {len(skipped)} videos of this output can be scored with {truth}, as {first}: {reason}"


def _show(evaluation: Evaluation, console: Console) -> None:
    console.print(_table(evaluation))
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
    # Text: an id with brackets is no markup.
    table.add_row(Text(sequence), objects, f"{scores.num_frames:,}", *(f"{value:.3f}" for value in measures))


app = typer.Typer(add_completion=False)


@app.command(name="evaluate")
def evaluate_command(
    output: str = typer.Argument(metavar="OUTPUT", help="What segment wrote: path or URL."),
    truth: str = typer.Option(metavar="DIR", help="Folder in DAVIS layout with Annotations in it: path or URL."),
    resolution: str | None = typer.Option(None, help="The resolution folder, where there are several."),
    all_frames: bool = typer.Option(
        False, "--all-frames", help="Score each object from its first annotation on, not by the DAVIS 2017 protocol."
    ),
    parquet: str | None = typer.Option(None, metavar="FILE", help="Also write the scores to this path or URL."),
    binary_masks: bool = typer.Option(False, "--binary-masks", help="255 is the object (DAVIS-2016)."),
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
