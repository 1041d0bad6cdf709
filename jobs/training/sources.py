"""Material for clips: still pictures with masks, and sequences in DAVIS layout. Read once, kept in memory.

Legend: T frames, S side of the square crop.
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from jobs.pictures.decode import decode_picture, read_picture
from jobs.pictures.label_maps import LabelMap, as_label_map
from jobs.training.motion import Generator, Pose, bends, path, place
from model.result import VOID
from pipeline.errors import InvalidInput
from pipeline.input.frame_folder import natural_key
from pipeline.input.frames import Rgb
from pipeline.input.masks import read_mask
from pipeline.storage.store import Store

_READERS = 8
_SMALLEST_SHARE = 0.015
"""Objects below this share of the picture are too coarsely outlined to learn from."""
HELD_BACK = 10
"""Every tenth still, by a hash of its name, is never trained on: the composed clips of the evaluation use them."""


@dataclass(frozen=True, kw_only=True)
class Still:
    """A picture and its labels."""

    name: str
    picture: Rgb
    labels: LabelMap

    def object_ids(self) -> list[int]:
        """Objects large enough to learn from."""
        ids, counts = np.unique(self.labels, return_counts=True)
        least = _SMALLEST_SHARE * self.labels.size
        return [int(i) for i, n in zip(ids, counts, strict=True) if i not in (0, VOID) and n >= least]


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


class Source(Protocol):
    """Something that footage can be drawn from."""

    def draw(self, rng: Generator, frames: int, side: int, speed: float) -> Footage:
        """Random footage; `speed` grows with the curriculum (1 = slow)."""


def is_held_back(name: str) -> bool:
    """Whether a still is kept for evaluation."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % HELD_BACK == 0


def read_stills(folder: str, *, held_back: bool = False) -> list[Still]:
    """`images/NAME.jpg` with `masks/NAME.png`: those that may be trained on, or those that are held back."""
    store = Store(folder)
    names = [entry.name for entry in store.list("images") if is_held_back(entry.name) == held_back]
    if not names:
        raise InvalidInput(f"no pictures in {store.url_of('images')}: give a folder with images/ and masks/")
    with ThreadPoolExecutor(_READERS) as readers:
        return list(readers.map(lambda name: _read_still(store, name), names))


def _read_still(store: Store, name: str) -> Still:
    mask_name = f"masks/{name.rsplit('.', 1)[0]}.png"
    where = store.url_of(mask_name)
    labels = as_label_map(read_mask(store.get(mask_name), where), where)
    return Still(name=name, picture=read_picture(store, f"images/{name}"), labels=labels)


def usable(stills: Sequence[Still]) -> list[Still]:
    """Those with an object that is large enough. Raises InvalidInput when there is none."""
    found = [still for still in stills if still.object_ids()]
    if not found:
        raise InvalidInput(f"none of {len(stills)} stills shows an object of {_SMALLEST_SHARE:.1%} of its picture")
    return found


class MovedStills:
    """Stills under a moving camera: affine paths and a changing elastic warp (the paper's pre-training)."""

    def __init__(self, stills: Sequence[Still], *, bend: float = 2.0) -> None:
        """`bend`: how far the warp carries a pixel from frame to frame, in pixels at speed 1."""
        self._stills = usable(stills)
        self._bend = bend

    def draw(self, rng: Generator, frames: int, side: int, speed: float) -> Footage:
        """One still, moved."""
        still = self._stills[rng.integers(len(self._stills))]
        start = framing(rng, still.labels, side)
        fields = bends(rng, frames, side, self._bend, speed)
        seen = [
            place(still.picture, still.labels, pose, side, field)
            for pose, field in zip(path(rng, start, frames, speed=4.0 * speed), fields, strict=True)
        ]
        return Footage(frames=[p for p, _ in seen], labels=[m for _, m in seen])


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
    """Sequences in DAVIS layout, or in that of YouTube-VOS, where only every fifth frame has a mask.

    `JPEGImages/[RESOLUTION/]NAME/*.jpg` and `Annotations/[RESOLUTION/]NAME/*.png`; frames without a mask are left out.
    """

    def __init__(self, root: str, names: Sequence[str], *, resolution: str | None = None) -> None:
        """Raises InvalidInput for a sequence without masks."""
        level = f"{resolution}/" if resolution else ""
        with ThreadPoolExecutor(_READERS) as readers:
            super().__init__(list(readers.map(lambda name: _recorded(Store(root), level, name), names)))


def _recorded(store: Store, level: str, name: str) -> Recording:
    folder = f"Annotations/{level}{name}"
    masks = sorted((entry.name for entry in store.list(folder)), key=natural_key)
    if not masks:
        raise InvalidInput(f"no masks in {store.url_of(folder)}: check the folder and the list of names")
    return [
        _read_frame(store, f"JPEGImages/{level}{name}/{mask.rsplit('.', 1)[0]}.jpg", f"{folder}/{mask}")
        for mask in masks
    ]


def _read_frame(store: Store, picture: str, mask: str) -> RecordedFrame:
    labels = as_label_map(read_mask(store.get(mask), store.url_of(mask)), store.url_of(mask))
    return RecordedFrame(name=store.url_of(picture), picture=store.get(picture), labels=labels)


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
