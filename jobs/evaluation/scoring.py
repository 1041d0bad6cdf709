"""An output against its truth.

One video is read at a time and its frames one after the other, so memory grows neither with the number of videos nor
with the size of their masks.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from jobs.datasets import listing
from jobs.evaluation.matching import Truth
from jobs.evaluation.scores import Evaluation, Protocol, SequenceScore
from jobs.evaluation.truth import NotScored, TruthMask, notes_on_frames
from model.metrics import ObjectScore, SequenceScorer
from pipeline.errors import InvalidInput
from pipeline.input.frame_folder import natural_key
from pipeline.output.labels import CommittedVideo, committed_videos


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
    found = Truth(truth, resolution=resolution, binary_masks=binary_masks)
    return evaluate_with(output, found, Protocol(protocol))


def evaluate_with(
    output: str, truth: Truth, protocol: Protocol, *, prompted: Mapping[str, Collection[int]] | None = None
) -> Evaluation:
    """The same with a truth that is open already.

    `prompted`: by video the frames that count as prompted, whatever the output says; outputs with other prompts are
    then scored on the same frames. Raises as `evaluate`.
    """
    return _Evaluator(output, truth, protocol, prompted).evaluate()


class _Evaluator:
    """One output and its truth."""

    def __init__(
        self, output: str, truth: Truth, protocol: Protocol, prompted: Mapping[str, Collection[int]] | None
    ) -> None:
        self._prompted = prompted
        self._truth = truth
        self._protocol = protocol
        self._videos = committed_videos(output)

    def evaluate(self) -> Evaluation:
        sequences, skipped = [], {}
        for video_id in sorted(self._videos, key=natural_key):
            try:
                sequences.append(self._sequence(self._videos[video_id]))
            except NotScored as reason:
                skipped[video_id] = str(reason)
        if not sequences:
            raise InvalidInput(nothing_to_score(self._truth.store.url, skipped))
        return Evaluation(
            protocol=self._protocol,
            sequences=tuple(sequences),
            skipped=skipped,
            not_segmented=tuple(name for name in self._truth.video_ids if name not in self._videos),
        )

    def _sequence(self, video: CommittedVideo) -> SequenceScore:
        matched = self._truth.matched(video)
        scorer, uncertainties = SequenceScorer(), []
        for mask, truth, found in matched.compared():
            scorer.add(found.labels, truth, prompted=self._is_prompted(video.video_id, mask))
            uncertainties.append(found.uncertainty)
        notes = [*notes_on_frames(matched.names, matched.masks, matched.frames), *self._notes_on_objects(scorer)]
        objects = self._objects(scorer)
        return SequenceScore(
            video_id=video.video_id,
            objects=objects,
            uncertainty_and_error=tuple(_uncertainty_and_error(objects, uncertainties)),
            notes=tuple(notes),
        )

    def _is_prompted(self, video_id: str, mask: TruthMask) -> bool:
        if self._prompted is None:
            return mask.prompted
        return mask.frame_index in self._prompted.get(video_id, ())

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


def nothing_to_score(truth: str, skipped: Mapping[str, str]) -> str:
    """Why no video of an output can be scored with this truth, for a message."""
    if not skipped:
        return "no video is complete in this output: run `vos-batch segment` first"
    first, reason = next(iter(skipped.items()))
    return f"none of the {len(skipped)} videos of this output can be scored with {truth}, as {first}: {reason}"
