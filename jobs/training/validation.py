"""Scores of a network on videos it does not learn from, by the loop that users run.

Legend: H, W frame size.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from jobs.datasets import listing
from jobs.datasets.davis import DavisSequence
from jobs.datasets.masks import read_labels
from jobs.pictures.decode import read_picture
from jobs.pictures.label_maps import LabelMap
from jobs.pictures.overlay import blend
from jobs.pictures.sheet import contact_sheet
from jobs.training.compose import Composition, draw_clip
from jobs.training.held_back import held_back_composition
from jobs.training.stills import has_held_back
from model.clip import Clip
from model.metrics import ObjectScore, SequenceScorer, mean_scores
from model.network import AFBURR
from model.result import VOID, Labels, Prompt
from model.segmenter import SegmenterConfig, VideoSegmenter
from pipeline.errors import InvalidInput
from pipeline.input.frames import Rgb

_CLIPS, _FRAMES, _OBJECTS, _SEED = 6, 12, (1, 4), 0
_SHEET_FRAMES, _SHEET_COLUMNS, _SHEET_WIDTH = 8, 4, 1200


@dataclass(frozen=True, kw_only=True)
class Video:
    """A video whose masks are known."""

    num_frames: int
    read: Callable[[int], tuple[Rgb, Labels | LabelMap | None]]
    """Frame t and its true labels [H, W]; None where it has none."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """How well a network segments some videos: means over their objects, in [0, 1]."""

    J: float
    F: float
    by_video: tuple[float, ...]
    """J&F of each video that has an object to score, mean over its objects."""
    sheet: Rgb
    """Frames of the first video with the masks that were found."""

    @property
    def J_and_F(self) -> float:  # noqa: N802 (the benchmark's own name)
        """Mean of J and F."""
        return (self.J + self.F) / 2


@dataclass(frozen=True, kw_only=True)
class Validation:
    """The videos that a training is scored on, at least one."""

    videos: Sequence[Video]
    about: str
    """What they are, for the card."""

    def score(self, network: AFBURR) -> Score:
        """J and F of all objects, each from its first annotation on, which is its prompt.

        Raises InvalidInput when no object has a frame that can be scored.
        """
        shown = _spaced(self.videos[0].num_frames)
        first, pictures = _segmented(network, self.videos[0], shown)
        of_videos = [first, *(_segmented(network, video, ())[0] for video in self.videos[1:])]
        objects = [score for scores in of_videos for score in scores]
        if not objects:
            raise InvalidInput(f"{self.about}: no object has a mask in two frames; validate on other sequences")
        mean = mean_scores(objects)
        captions = [f"frame {t}" for t in shown]
        return Score(
            J=mean.J,
            F=mean.F,
            by_video=tuple(mean_scores(scores).J_and_F for scores in of_videos if scores),
            sheet=contact_sheet(pictures, columns=_SHEET_COLUMNS, width=_SHEET_WIDTH, captions=captions),
        )


def _spaced(num_frames: int) -> list[int]:
    return sorted({int(t) for t in np.linspace(0, num_frames - 1, _SHEET_FRAMES).round()})


def _segmented(network: AFBURR, video: Video, shown: Collection[int]) -> tuple[list[ObjectScore], list[Rgb]]:
    """Scores of one video's objects, and the frames of `shown` with the masks that were found."""
    segmenter, scorer = VideoSegmenter(network, SegmenterConfig()), SequenceScorer()
    prompted: set[int] = set()
    pictures = []
    for t in range(video.num_frames):
        frame, truth = video.read(t)
        prompt = _prompt(truth, prompted)
        found = segmenter.step(torch.from_numpy(frame).permute(2, 0, 1), prompt).labels
        if truth is not None:
            scorer.add(found, truth, prompted=prompt is not None)
        if t in shown:
            pictures.append(blend(frame, found))
    return scorer.all_frames(), pictures


def _prompt(truth: Labels | LabelMap | None, prompted: set[int]) -> Prompt | None:
    """The masks of objects that have not been given yet; they count as given from now on."""
    if truth is None or not (new := sorted({*np.unique(truth).tolist()} - prompted - {0, VOID})):
        return None
    prompted.update(new)
    return Prompt(labels=truth.astype(np.int32), object_ids=tuple(new))


def composed_validation(stills: Sequence[str], *, side: int) -> Validation | None:
    """A few clips of the stills that training holds back, always the same; None where none is held back."""
    folders = [folder for folder in stills if has_held_back(folder)]
    if not folders:
        return None
    composition = held_back_composition(folders, frames=_FRAMES, side=side, objects=_OBJECTS)
    return clips_validation(composition, clips=_CLIPS, of="held-back stills")


def clips_validation(composition: Composition, *, clips: int, of: str) -> Validation:
    """So many clips, always the same; `of` what they are composed, for the card."""
    drawn = [draw_clip(np.random.default_rng([_SEED, number]), composition) for number in range(clips)]
    frames = f"{composition.frames} frames of {of} at {composition.side} px"
    return Validation(
        videos=[_of_clip(clip) for clip in drawn], about=f"{clips} composed clips of {frames}, seed {_SEED}"
    )


def _of_clip(clip: Clip) -> Video:
    return Video(num_frames=len(clip.frames), read=lambda t: (clip.frames[t], clip.labels[t]))


def davis_validation(sequences: Sequence[DavisSequence]) -> Validation:
    """Sequences in the layout of DAVIS, at least one, read when they are scored."""
    names = listing.few(sequence.name for sequence in sequences)
    return Validation(videos=[_of_sequence(one) for one in sequences], about=f"{len(sequences)} sequences ({names})")


def _of_sequence(sequence: DavisSequence) -> Video:
    def read(t: int) -> tuple[Rgb, Labels | None]:
        mask = sequence.mask_names.get(t)
        labels = None if mask is None else read_labels(sequence.masks, mask)
        return read_picture(sequence.frames, sequence.frame_names[t]), labels

    return Video(num_frames=len(sequence.frame_names), read=read)
