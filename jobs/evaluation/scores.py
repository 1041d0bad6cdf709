"""Scores of an output, as values and as a table."""

from dataclasses import dataclass, field
from enum import StrEnum

import pyarrow as pa

from model.estimate import Estimate, estimate
from model.metrics import ObjectScore, mean_scores, rank_correlation
from pipeline.output.batches import put_table
from pipeline.storage.store import Store
from pipeline.storage.urls import name_of, parent_url


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
    def mean_over_sequences(self) -> Estimate:
        """J&F of each sequence (mean over its objects), and how far its mean over the sequences can be trusted."""
        return estimate([mean_scores(sequence.objects).J_and_F for sequence in self.sequences])

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


def write_scores(url: str, evaluation: Evaluation) -> int:
    """Write one row per object and sequence as Parquet to a path or URL; the number of rows.

    Units and meanings are in the field metadata. Raises InvalidOutput, StoreUnavailable.
    """
    rows = [_row(evaluation, sequence, score) for sequence in evaluation.sequences for score in sequence.objects]
    put_table(Store(parent_url(url)), name_of(url), pa.Table.from_pylist(rows, schema=SCORES))
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
