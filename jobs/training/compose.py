"""Clips for training: footage, and cut-outs pasted in as objects, look-alikes, distractors, occluders and newcomers.

Legend: T frames, S side of the square crop.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.pictures.label_maps import LabelMap
from jobs.training.motion import (
    Generator,
    Pose,
    bends,
    camera,
    come_in,
    leave_and_return,
    path,
    place,
)
from jobs.training.sources import Footage, Source
from jobs.training.stills import Still
from model.clip import Clip
from model.result import VOID
from model.synthetic import make_clip
from pipeline.input.frames import Rgb

_TRIES = 20
_LEAST_PIXELS = 60
"""An object of the first frame with fewer pixels is no object of the clip."""


@dataclass(frozen=True, kw_only=True)
class Composition:
    """What clips are made of."""

    sources: Sequence[Source]
    shares: Sequence[float]
    """How often each source is drawn from, relative to each other."""
    cutouts: Sequence[Still]
    """Where pasted objects come from."""
    frames: int = 3
    side: int = 192
    min_objects: int = 1
    max_objects: int = 4
    pastes: float = 1.2
    """Mean number of cut-outs a clip."""
    lookalikes: float = 0.3
    """Share of the cut-outs that are copies of an object of the scene: alike ones are the hardest to keep apart."""
    leaving: float = 0.1
    """Share of the cut-outs that leave the picture; those that are gone before the last frame come back."""
    newcomers: float = 0.3
    """Mean number of cut-outs a clip that come in after its first frame, and are background: some are near and dark."""
    bend: float = 0.0
    """How far a warp carries the pixels of cut-outs from frame to frame, in pixels at speed 1."""
    generated: float = 0.05
    """Share of clips that are generated shapes."""
    speed: float = 1.0
    """Curriculum: how far things move from frame to frame."""


@dataclass(frozen=True, kw_only=True)
class _Cutout:
    picture: Rgb
    mask: NDArray[np.uint8]
    """255 where the object is."""


def draw_clip(rng: Generator, composition: Composition) -> Clip:
    """A random clip; its objects are numbered 1..K by their first frame."""
    if rng.random() < composition.generated:
        side = composition.side
        made = make_clip(
            int(rng.integers(1 << 31)),
            num_frames=composition.frames * 4,
            height=side,
            width=side,
            num_objects=int(rng.integers(composition.min_objects, composition.max_objects + 1)),
        )
        return Clip(frames=made.frames[::4], labels=made.labels[::4])
    for _ in range(_TRIES):
        clip = _composed(rng, composition)
        if clip is not None:
            return clip
    raise RuntimeError("no clip with an object could be drawn: are the masks empty?")


def _composed(rng: Generator, composition: Composition) -> Clip | None:
    shares = np.array(composition.shares) / sum(composition.shares)
    source = composition.sources[rng.choice(len(composition.sources), p=shares)]
    footage = source.draw(rng, composition.frames, composition.side, composition.speed)
    for _ in range(rng.poisson(composition.pastes)):
        footage = _paste(rng, footage, _some_cutout(rng, footage, composition), composition)
    for _ in range(rng.poisson(composition.newcomers)):
        footage = _enter(rng, footage, _cutout(rng, composition), composition)
    labels = _numbered(rng, footage.labels, composition)
    if labels is None:
        return None
    frames = camera(rng, footage.frames)
    if rng.random() < 0.05:
        frames = [np.repeat(f.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8) for f in frames]
    return Clip(frames=np.stack(frames), labels=np.stack(labels))


def _some_cutout(rng: Generator, footage: Footage, composition: Composition) -> _Cutout:
    if rng.random() < composition.lookalikes:
        ids = [i for i in np.unique(footage.labels[0]) if i not in (0, VOID)]
        if ids:
            chosen = ids[rng.integers(len(ids))]
            mask = footage.labels[0] == chosen
            if mask.sum() >= _LEAST_PIXELS:
                return _Cutout(picture=footage.frames[0], mask=mask.astype(np.uint8) * 255)
    return _cutout(rng, composition)


def _cutout(rng: Generator, composition: Composition) -> _Cutout:
    while True:
        still = composition.cutouts[int(rng.integers(len(composition.cutouts)))]
        if ids := still.object_ids():
            mask = still.labels == ids[rng.integers(len(ids))]
            return _Cutout(picture=still.picture, mask=mask.astype(np.uint8) * 255)


def _paste(rng: Generator, footage: Footage, cutout: _Cutout, composition: Composition) -> Footage:
    """With a cut-out that is there from the first frame on."""
    start = _start(rng, cutout, footage.side, sizes=(0.15, 0.6))
    new_id = 1 + max(int(m[m != VOID].max(initial=0)) for m in footage.labels)
    # Unlabelled, it is a distractor where it lies behind or beside, and an occluder where it crosses.
    label = new_id if rng.random() < 0.6 and new_id < VOID else 0
    poses = path(rng, start, len(footage.frames), speed=8.0 * composition.speed)
    if rng.random() < composition.leaving:
        poses = leave_and_return(rng, poses, distance=2.0 * footage.side)
    return _with(rng, footage, cutout, poses, label, composition)


def _enter(rng: Generator, footage: Footage, cutout: _Cutout, composition: Composition) -> Footage:
    """With a cut-out that comes in later; what passes right before the camera is large, and often dark."""
    start = _start(rng, cutout, footage.side, sizes=(0.15, 1.5))
    poses = path(rng, start, len(footage.frames), speed=8.0 * composition.speed)
    poses = come_in(rng, poses, distance=2.5 * footage.side)
    if rng.random() < 0.5:
        shade = math.exp(rng.uniform(math.log(0.1), 0))
        cutout = replace(cutout, picture=(cutout.picture * np.float32(shade)).astype(np.uint8))
    return _with(rng, footage, cutout, poses, 0, composition)


def _start(rng: Generator, cutout: _Cutout, side: int, sizes: tuple[float, float]) -> Pose:
    """Somewhere in the crop; `sizes`: the cut-out's longer extent, least and most, in sides."""
    ys, xs = np.nonzero(cutout.mask)
    extent = max(int(np.ptp(ys)), int(np.ptp(xs)), 1)
    return Pose(
        anchor=(float(xs.mean()), float(ys.mean())),
        centre=(float(rng.uniform(0.1, 0.9) * side), float(rng.uniform(0.1, 0.9) * side)),
        scale=float(rng.uniform(*sizes) * side / extent),
        angle=float(rng.normal(0, 0.2)),
        mirrored=bool(rng.random() < 0.5),
    )


def _with(
    rng: Generator, footage: Footage, cutout: _Cutout, poses: Sequence[Pose], label: int, composition: Composition
) -> Footage:
    fields = bends(rng, len(poses), footage.side, composition.bend, composition.speed)
    frames, labels = [], []
    for frame, under, pose, field in zip(footage.frames, footage.labels, poses, fields, strict=True):
        picture, mask = place(cutout.picture, cutout.mask, pose, footage.side, field, mirrored_labels=False)
        soft = cv2.GaussianBlur(mask, (3, 3), 0)[..., None].astype(np.float32) / 255
        frames.append((picture * soft + frame * (1 - soft)).astype(np.uint8))
        labels.append(np.where(mask > 127, label, under).astype(np.uint8))
    return Footage(frames=frames, labels=labels)


def _numbered(rng: Generator, labels: Sequence[LabelMap], composition: Composition) -> list[LabelMap] | None:
    """Keep some objects of the first frame, numbered from 1; the others become background."""
    ids, counts = np.unique(labels[0], return_counts=True)
    found = [int(i) for i, n in zip(ids, counts, strict=True) if i not in (0, VOID) and n >= _LEAST_PIXELS]
    if len(found) < composition.min_objects:
        return None
    kept = rng.permutation(found)[: composition.max_objects]
    table = np.zeros(256, np.uint8)
    table[VOID] = VOID
    table[kept] = np.arange(1, len(kept) + 1)
    return [table[m] for m in labels]
