"""What clips are drawn from: stills that are moved, and recorded videos. Read once, kept in memory.

Legend: T frames, S side of the square crop, H W still.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np

from jobs.datasets.davis import DavisSequence
from jobs.datasets.masks import read_label_map
from jobs.pictures.decode import decode_picture
from jobs.pictures.label_maps import LabelMap
from jobs.training.backdrop import backdrop
from jobs.training.cutouts import Cutout
from jobs.training.motion import Field, Generator, Pose, approach, bends, path, place
from jobs.training.stills import Still
from model.result import VOID
from pipeline.errors import InvalidInput
from pipeline.input.frames import Rgb

_READERS = 8
_LARGEST_SHARE = 0.5
"""Of a still: what covers more of it has no background to move before."""


@dataclass(frozen=True, kw_only=True)
class Footage:
    """Frames of one scene, cropped and aligned, before anything is pasted in."""

    frames: list[Rgb]
    """T of [S, S, 3]"""
    labels: list[LabelMap]
    """T of [S, S]"""

    @property
    def side(self) -> int:
        """S"""
        return len(self.frames[0])

    def with_pasted(
        self, cutout: Cutout, poses: Sequence[Pose], fields: Sequence[Field | None], label: int
    ) -> "Footage":
        """The same with a cut-out in front, in each frame in its pose, bent by its field, and labelled."""
        frames, labels = [], []
        for frame, under, pose, field in zip(self.frames, self.labels, poses, fields, strict=True):
            picture, mask = place(cutout.picture, cutout.mask, pose, self.side, field, mirrored_labels=False)
            soft = cv2.GaussianBlur(mask, (3, 3), 0)[..., None].astype(np.float32) / 255
            frames.append((picture * soft + frame * (1 - soft)).astype(np.uint8))
            labels.append(np.where(mask > 127, label, under).astype(np.uint8))
        return Footage(frames=frames, labels=labels)


class Source(Protocol):
    """Something that footage can be drawn from."""

    def draw(self, rng: Generator, frames: int, side: int, speed: float) -> Footage:
        """Random footage; `speed` grows with the curriculum (1 = slow)."""


class MovedStills:
    """Stills under a moving camera: affine paths and a changing elastic warp (the paper's pre-training).

    In some the camera comes nearer, and each object goes its own way before what is behind it.
    """

    def __init__(self, stills: Sequence[Still], *, bend: float = 2.0, depth: float = 0.0) -> None:
        """`stills`: usable ones. `bend`: how far the warp carries a pixel from frame to frame, in pixels at speed 1.

        `depth`: share of the footage in which things lie at different depths.
        """
        self._stills = stills
        self._bend = bend
        self._depth = depth

    def draw(self, rng: Generator, frames: int, side: int, speed: float) -> Footage:
        """One still, moved."""
        still = self._stills[int(rng.integers(len(self._stills)))]
        start = framing(rng, still.labels, side)
        if self._depth and rng.random() < self._depth:
            shown = _objects(still, start, side)
            if np.isin(still.labels, shown).mean() < _LARGEST_SHARE:
                return self._in_depth(rng, still, shown, start, frames, side, speed)
        return self._moved(rng, still, path(rng, start, frames, speed=4.0 * speed), side, speed)

    def _moved(self, rng: Generator, still: Still, poses: Sequence[Pose], side: int, speed: float) -> Footage:
        fields = bends(rng, len(poses), side, self._bend, speed)
        seen = [
            place(still.picture, still.labels, pose, side, field) for pose, field in zip(poses, fields, strict=True)
        ]
        return Footage(frames=[p for p, _ in seen], labels=[m for _, m in seen])

    def _in_depth(
        self, rng: Generator, still: Still, shown: list[int], start: Pose, frames: int, side: int, speed: float
    ) -> Footage:
        """`shown`: the objects that go their own ways."""
        holes = np.isin(still.labels, shown)
        behind = replace(
            still, picture=backdrop(rng, still.picture, holes), labels=np.where(holes, 0, still.labels).astype(np.uint8)
        )
        poses = approach(rng, path(rng, start, frames, speed=4.0 * speed), 0.5 * speed)
        footage = self._moved(rng, behind, poses, side, speed)
        for number in rng.permutation(shown).tolist():
            mask = (still.labels == number).astype(np.uint8) * 255
            own = path(rng, _anchored(start, mask), frames, speed=4.0 * speed)
            fields = bends(rng, frames, side, self._bend, speed)
            cutout = Cutout(picture=still.picture, mask=mask)
            footage = footage.with_pasted(cutout, approach(rng, own, speed), fields, number)
        return footage


def _objects(still: Still, pose: Pose, side: int) -> list[int]:
    """Those that are large enough to learn from and seen in a pose."""
    _, labels = place(still.picture, still.labels, pose, side)
    seen = set(np.unique(labels).tolist())
    return [number for number in still.object_ids() if number in seen]


def _anchored(pose: Pose, mask_HW: LabelMap) -> Pose:
    """The same pose, by the centre of a mask."""
    ys, xs = np.nonzero(mask_HW)
    anchor = (float(xs.mean()), float(ys.mean()))
    x, y = (pose.matrix() @ [*anchor, 1.0]).tolist()
    return replace(pose, anchor=anchor, centre=(x, y))


@dataclass(frozen=True, kw_only=True)
class RecordedFrame:
    """A frame of a video and what is in it."""

    name: str
    """Of its file, for messages."""
    picture: bytes
    """JPEG or PNG file."""
    labels: LabelMap


Recording = Sequence[RecordedFrame]
"""Some frames of a video, in order."""


class RecordedSequences:
    """Recorded videos, a few frames apart; the gap grows with `speed`."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self.recordings = recordings

    def draw(self, rng: Generator, frames: int, side: int, speed: float) -> Footage:
        """Frames of one sequence, in either direction of time, through one still crop."""
        long_enough = [recording for recording in self.recordings if len(recording) >= frames]
        if not long_enough:
            raise InvalidInput(f"no sequence has {frames} frames: train on shorter clips")
        recording = long_enough[rng.integers(len(long_enough))]
        widest = max(1, (len(recording) - 1) // max(1, frames - 1))
        gap = int(rng.integers(1, 1 + min(widest, max(1, round(10 * speed)))))
        first = int(rng.integers(0, len(recording) - gap * (frames - 1)))
        chosen = [first + gap * t for t in range(frames)]
        if rng.random() < 0.5:
            chosen.reverse()
        pose = framing(rng, recording[chosen[0]].labels, side)
        seen = [place(_decoded(recording[i]), recording[i].labels, pose, side) for i in chosen]
        return Footage(frames=[p for p, _ in seen], labels=[m for _, m in seen])


def _decoded(frame: RecordedFrame) -> Rgb:
    return decode_picture(frame.picture, frame.name)


class DavisSequences(RecordedSequences):
    """Sequences in the layout of DAVIS or YouTube-VOS; frames without a mask are left out."""

    def __init__(self, sequences: Iterable[DavisSequence]) -> None:
        """Reads all of it. Raises InvalidInput for a mask that is none, StoreUnavailable."""
        with ThreadPoolExecutor(_READERS) as readers:
            super().__init__(list(readers.map(_recording, sequences)))


def _recording(sequence: DavisSequence) -> Recording:
    return [_recorded(sequence, sequence.frame_names[index], mask) for index, mask in sequence.mask_names.items()]


def _recorded(sequence: DavisSequence, frame: str, mask: str) -> RecordedFrame:
    labels = read_label_map(sequence.masks, mask)
    return RecordedFrame(name=sequence.frames.url_of(frame), picture=sequence.frames.get(frame), labels=labels)


def framing(rng: Generator, labels: LabelMap, side: int) -> Pose:
    """A crop that shows some of an object: its anchor is a random pixel of one, not far from the middle."""
    ys, xs = np.nonzero((labels != 0) & (labels != VOID))
    if len(ys):
        pick = rng.integers(len(ys))
        anchor = (float(xs[pick]), float(ys[pick]))
    else:
        anchor = (labels.shape[1] / 2, labels.shape[0] / 2)
    seen = rng.uniform(0.4, 1.0) * min(labels.shape)
    off = rng.uniform(-0.25, 0.25, 2) * side
    return Pose(
        anchor=anchor,
        centre=(side / 2 + off[0], side / 2 + off[1]),
        scale=side / seen,
        angle=float(rng.normal(0, 0.08)),
        mirrored=bool(rng.random() < 0.5),
    )
