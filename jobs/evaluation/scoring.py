"""An output against its truth.

One video is read at a time and its frames one after the other, so memory grows neither with the number of videos nor
with the size of their masks.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import pyarrow.compute as pc

from jobs.datasets import listing
from jobs.datasets.davis import annotations, mask_files
from jobs.evaluation.scores import Evaluation, Protocol, SequenceScore
from jobs.evaluation.truth import NotScored, TruthMask, belonging, check_size, notes_on_frames
from model.metrics import ObjectScore, SequenceScorer
from model.result import Labels
from pipeline.errors import InvalidInput
from pipeline.input.frame_folder import natural_key
from pipeline.input.masks import read_mask
from pipeline.output import rle, tables
from pipeline.overlap import Ahead
from pipeline.storage.store import Store

_FRAME_COLUMNS = ["frame_index", "frame_name", "prompted"]
_MASK_COLUMNS = ["frame_index", "object_id", "height", "width", "rle", "uncertainty"]
_ROWS_PER_BATCH = 1024
_TRUTHS_AHEAD = 4


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
    scorer = _Evaluator(output, annotations(truth, resolution), Protocol(protocol), binary_masks)
    return scorer.evaluate()


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
                    raise NotScored(f"no folder of its name in {self._truth.url}")
                sequences.append(self._sequence(video_id, sizes[video_id]))
            except NotScored as reason:
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
        names = mask_files(self._truth, video_id)
        masks = belonging(names, frames, self._truth.url_of(video_id))
        scorer, uncertainties = SequenceScorer(), []
        predictions = _predictions(self._mask_rows(video_id), [mask.frame_index for mask in masks], size)
        with Ahead(self._truths(video_id, masks, size), _TRUTHS_AHEAD) as truths:
            for mask, truth, prediction in zip(masks, truths, predictions, strict=True):
                scorer.add(prediction.labels, truth, prompted=mask.prompted)
                uncertainties.append(prediction.uncertainty)
        notes = [*notes_on_frames(names, masks, frames), *self._notes_on_objects(scorer)]
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

    def _truths(self, video_id: str, masks: Sequence[TruthMask], size: tuple[int, int]) -> Iterator[Labels]:
        for mask in masks:
            name = f"{video_id}/{mask.name}"
            where = f"video {video_id!r}, frame {mask.frame_index}: truth {self._truth.url_of(name)}"
            labels = read_mask(self._truth.get(name), where, binary_masks=self._binary_masks)
            check_size(labels, size, where)
            yield labels

    def _objects(self, scorer: SequenceScorer) -> tuple[ObjectScore, ...]:
        if self._protocol is Protocol.ALL_FRAMES:
            found = scorer.all_frames()
            reason = "no object of the truth is in a frame without a prompt"
        else:
            found = _davis2017(scorer)
            reason = "the truth shows no object"
        if not found:
            raise NotScored(reason)
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
        raise NotScored(f"{error}; use --all-frames") from None


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


def _nothing(truth: str, skipped: dict[str, str]) -> str:
    if not skipped:
        return "no video is complete in this output: run `vos-batch segment` first"
    first, reason = next(iter(skipped.items()))
    return f"none of the {len(skipped)} videos of this output can be scored with {truth}, as {first}: {reason}"
