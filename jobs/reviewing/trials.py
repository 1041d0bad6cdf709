"""What corrections would do: videos segmented again with the truth as prompt on some frames, and scored.

The scored frames are always the same: all that have a truth but those that were prompted in the first place. A
corrected frame counts with the mask that is stored for it, else a score would rise by leaving out what is bad.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from jobs.datasets import listing
from jobs.evaluation.matching import Truth
from jobs.evaluation.scores import Protocol
from jobs.evaluation.scoring import evaluate_with
from jobs.evaluation.truth import NotScored
from jobs.reviewing.choices import Candidates, Choice
from model.metrics import ObjectScore, mean_scores
from pipeline.errors import InvalidInput
from pipeline.input.manifest import PromptSource, VideoTask
from pipeline.output.labels import CommittedVideo, committed_videos
from pipeline.run.config import WorkerConfig
from pipeline.run.driver import RunSummary
from pipeline.storage.urls import absolute_url

Segment = Callable[[Sequence[VideoTask], WorkerConfig], RunSummary]
"""Segments tasks with a configuration."""
NOTHING: Choice = {}


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """A video that can be corrected."""

    task: VideoTask
    masks: Mapping[int, str]
    """By frame the URL of its truth."""
    first: Mapping[int, int]
    """By object the first frame on which it is known."""

    @property
    def prompted(self) -> frozenset[int]:
        return frozenset(prompt.frame_index for prompt in self.task.prompts)

    def corrected(self, frames: frozenset[int]) -> VideoTask:
        """Its row with the truth of these frames as prompts, for all objects that are known there."""
        found = [
            PromptSource(frame_index=frame, mask_uri=self.masks[frame], object_ids=self._known(frame))
            for frame in frames
        ]
        prompts = sorted([*self.task.prompts, *found], key=lambda prompt: prompt.frame_index)
        return replace(self.task, prompts=tuple(prompts))

    def _known(self, frame: int) -> tuple[int, ...]:
        return tuple(sorted(one for one, first in self.first.items() if first <= frame))


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One video with a choice of its frames corrected."""

    video: CommittedVideo
    objects: tuple[ObjectScore, ...]


class Trials:
    """Segments and scores each video at most once for the same corrected frames."""

    def __init__(
        self, tasks: Sequence[VideoTask], config: WorkerConfig, truth: Truth, folder: str, segment: Segment
    ) -> None:
        """`config`: as the output it names was made with; `folder`: path or URL for what is segmented here.

        Raises InvalidInput where no video of that output has a row and a truth, or was segmented with other prompts.
        """
        self._config, self._truth, self._segment = config, truth, segment
        self._folder = absolute_url(folder)
        self.notes: list[str] = []
        self._subjects = {subject.task.video_id: subject for subject in self._found(tasks)}
        if not self._subjects:
            raise InvalidInput(f"{config.output}: no video has a row in the manifest and a truth in {truth.store.url}")
        self._known = {(name, frozenset[int]()): trial for name, trial in self._scored(config.output).items()}
        if unscored := sorted(self._subjects.keys() - {name for name, _ in self._known}):
            self.notes.append(f"left out, as nothing of them can be scored: {listing.few(unscored)}")
            self._subjects = {name: one for name, one in self._subjects.items() if name not in unscored}

    @property
    def candidates(self) -> Candidates:
        """The frames that can be corrected: with a truth, behind the first prompt, and not prompted."""
        return {
            name: [
                frame for frame in sorted(one.masks) if frame not in one.prompted and frame > min(one.first.values())
            ]
            for name, one in sorted(self._subjects.items())
        }

    def of(self, choice: Choice, name: str) -> dict[str, Trial]:
        """All videos with these frames corrected; what is not known yet is segmented below `name`.

        Raises InvalidInput naming a video that cannot be segmented, else as `run`.
        """
        wanted = {video_id: choice.get(video_id, frozenset()) for video_id in self._subjects}
        new = {video_id: frames for video_id, frames in wanted.items() if (video_id, frames) not in self._known}
        if new:
            output = f"{self._folder}/{name}"
            summary = self._segment(
                [self._subjects[video_id].corrected(frames) for video_id, frames in new.items()],
                replace(self._config, output=output),
            )
            for video_id, failure in summary.failed.items():
                raise InvalidInput(f"video {video_id!r} cannot be segmented with corrections: {failure.message}")
            scored = self._scored(output)
            self._known |= {(video_id, frames): scored[video_id] for video_id, frames in new.items()}
        return {video_id: self._known[video_id, frames] for video_id, frames in sorted(wanted.items())}

    def with_true_J(self, expected: pa.Table, trials: Mapping[str, Trial]) -> pa.Table:  # noqa: N802
        """The table of `expected` with what its masks are worth in fact; 1 where nobody knows."""
        if not len(expected):
            return expected
        video = trials[expected["video_id"][0].as_py()].video
        J = {(one.frame_index, one.object_id): one.J for one in self._truth.object_frames(video)}
        keys = zip(expected["frame_index"].to_pylist(), expected["object_id"].to_pylist(), strict=True)
        column = pa.array([J.get(key, 1.0) for key in keys], pa.float32())
        return expected.set_column(expected.schema.get_field_index("expected_j"), "expected_j", column)

    def _found(self, tasks: Sequence[VideoTask]) -> Iterator[_Subject]:
        videos = committed_videos(self._config.output)
        for task in tasks:
            try:
                if task.video_id not in videos:
                    raise NotScored(f"no result in {self._config.output}")
                yield _subject(task, videos[task.video_id], self._truth)
            except NotScored as reason:
                self.notes.append(f"left out: {task.name}: {reason}")

    def _scored(self, output: str) -> dict[str, Trial]:
        videos = committed_videos(output)
        scores = evaluate_with(
            output,
            self._truth,
            protocol=Protocol.ALL_FRAMES,
            prompted={name: subject.prompted for name, subject in self._subjects.items()},
        )
        return {
            one.video_id: Trial(video=videos[one.video_id], objects=one.objects)
            for one in scores.sequences
            if one.video_id in self._subjects
        }


def J_and_F(trials: Mapping[str, Trial]) -> float:  # noqa: N802 (the benchmark's own name)
    """Mean over all objects of all videos, as the benchmark has it."""
    return mean_scores(_objects(trials)).J_and_F


def J_and_F_by_frames(trials: Mapping[str, Trial]) -> float:  # noqa: N802 (the benchmark's own name)
    """Mean over all scored object-frames of all videos."""
    objects = _objects(trials)
    return sum(one.J_and_F * one.num_frames for one in objects) / sum(one.num_frames for one in objects)


def _objects(trials: Mapping[str, Trial]) -> list[ObjectScore]:
    return [score for trial in trials.values() for score in trial.objects]


def _subject(task: VideoTask, video: CommittedVideo, truth: Truth) -> _Subject:
    matched = truth.matched(video)
    prompted = {frame["frame_index"] for frame in matched.frames if frame["prompted"]}
    if prompted != {prompt.frame_index for prompt in task.prompts}:
        raise InvalidInput(
            f"{task.name}: was segmented with prompts on other frames than the manifest has: segment it again, or name "
            "the manifest that it was segmented with"
        )
    rows = video.masks(["frame_index", "object_id"]).group_by("object_id").aggregate([("frame_index", "min")])
    return _Subject(
        task=task,
        masks={mask.frame_index: truth.store.url_of(f"{task.video_id}/{mask.name}") for mask in matched.masks},
        first={row["object_id"]: row["frame_index_min"] for row in rows.to_pylist()},
    )
