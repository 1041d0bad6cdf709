"""An output against its truth.

One video is read at a time and its frames one after the other, so memory grows neither with the number of videos nor
with the size of their masks.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from jobs.datasets import listing
from jobs.datasets.davis import annotations, mask_files
from jobs.evaluation.scores import Evaluation, Protocol, SequenceScore
from jobs.evaluation.truth import NotScored, TruthMask, belonging, check_size, notes_on_frames
from model.metrics import ObjectScore, SequenceScorer
from model.result import Labels
from pipeline.errors import InvalidInput
from pipeline.input.frame_folder import natural_key
from pipeline.input.masks import read_mask
from pipeline.output.labels import CommittedVideo, committed_videos
from pipeline.overlap import Ahead
from pipeline.storage.store import Store

_FRAME_COLUMNS = ["frame_index", "frame_name", "prompted"]
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


class _Evaluator:
    """One output and its truth."""

    def __init__(self, output: str, truth: Store, protocol: Protocol, binary_masks: bool) -> None:
        self._truth = truth
        self._protocol = protocol
        self._binary_masks = binary_masks
        self._videos = committed_videos(output)

    def evaluate(self) -> Evaluation:
        truths = listing.folders(self._truth)
        sequences, skipped = [], {}
        for video_id in sorted(self._videos, key=natural_key):
            try:
                if video_id not in truths:
                    raise NotScored(f"no folder of its name in {self._truth.url}")
                sequences.append(self._sequence(self._videos[video_id]))
            except NotScored as reason:
                skipped[video_id] = str(reason)
        if not sequences:
            raise InvalidInput(_nothing(self._truth.url, skipped))
        return Evaluation(
            protocol=self._protocol,
            sequences=tuple(sequences),
            skipped=skipped,
            not_segmented=tuple(name for name in truths if name not in self._videos),
        )

    def _sequence(self, video: CommittedVideo) -> SequenceScore:
        frames = video.frames(_FRAME_COLUMNS).to_pylist()
        names = mask_files(self._truth, video.video_id)
        masks = belonging(names, frames, self._truth.url_of(video.video_id))
        scorer, uncertainties = SequenceScorer(), []
        found = video.labels(mask.frame_index for mask in masks)
        with Ahead(self._truths(video, masks), _TRUTHS_AHEAD) as truths:
            for mask, truth, frame in zip(masks, truths, found, strict=True):
                scorer.add(frame.labels, truth, prompted=mask.prompted)
                uncertainties.append(frame.uncertainty)
        notes = [*notes_on_frames(names, masks, frames), *self._notes_on_objects(scorer)]
        objects = self._objects(scorer)
        return SequenceScore(
            video_id=video.video_id,
            objects=objects,
            uncertainty_and_error=tuple(_uncertainty_and_error(objects, uncertainties)),
            notes=tuple(notes),
        )

    def _truths(self, video: CommittedVideo, masks: Sequence[TruthMask]) -> Iterator[Labels]:
        for mask in masks:
            name = f"{video.video_id}/{mask.name}"
            where = f"video {video.video_id!r}, frame {mask.frame_index}: truth {self._truth.url_of(name)}"
            labels = read_mask(self._truth.get(name), where, binary_masks=self._binary_masks)
            check_size(labels, video.size, where)
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


def _uncertainty_and_error(
    objects: Iterable[ObjectScore], uncertainties: Sequence[Mapping[int, float | None]]
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
