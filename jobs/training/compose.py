"""Clips for training: footage, and cut-outs pasted in as objects, look-alikes, distractors, occluders and newcomers.

Legend: T frames, S side of the square crop.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from jobs.pictures.label_maps import LabelMap
from jobs.training.cutouts import Cutout, any_cutout, shrunk, strip
from jobs.training.motion import (
    Generator,
    Pose,
    approach,
    bends,
    camera,
    come_in,
    leave_and_return,
    path,
)
from jobs.training.sources import Footage, Source
from jobs.training.stills import Still
from model.clip import Clip
from model.result import VOID
from model.synthetic import make_clip, make_squares

_TRIES = 20
_HERD_CANDIDATES = 8
_SLOW = 0.15
"""Speed of slow clips, relative to the others."""
_SQUARE_CELL = 24
"""The least room of a square, in pixels of a side."""


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
    least_pixels: int = 60
    """An object of the first frame with fewer pixels is no object of the clip."""
    scene_objects: bool = True
    """Whether what the footage shows counts as an object; else only what is pasted in."""
    pastes: float = 1.2
    """Mean number of cut-outs a clip."""
    lookalikes: float = 0.3
    """Share of the cut-outs that are copies of an object of the scene: alike ones are the hardest to keep apart."""
    leaving: float = 0.1
    """Share of the cut-outs that leave the picture; those that are gone before the last frame come back."""
    newcomers: float = 0.3
    """Mean number of cut-outs a clip that come in after its first frame, and are background: some are near and dark."""
    veils: float = 0.0
    """Mean number of cut-outs a clip that hide a part of an object in its first frame and go away: what comes to light
    is the object's, as another side of it is in a video."""
    bend: float = 0.0
    """How far a warp carries the pixels of cut-outs from frame to frame, in pixels at speed 1."""
    depth: float = 0.0
    """Share of the cut-outs that come nearer or go away, and turn."""
    thin: float = 0.0
    """Share of the cut-outs of which only a thin strip is pasted in."""
    herds: float = 0.0
    """Share of the clips with a herd: many small objects that are copies of one cut-out."""
    herd: tuple[int, int] = (6, 12)
    """How many: least and most."""
    herd_sizes: tuple[float, float] = (0.02, 0.08)
    """The longer extent of each, least and most, in sides."""
    generated: float = 0.05
    """Share of clips that are generated shapes."""
    squares: float = 0.0
    """Share of clips that are coloured squares: some of many are objects, alike but for hue and place."""
    slow: float = 0.0
    """Share of the clips in which things move as little as from one frame of a video to the next."""
    speed: float = 1.0
    """Curriculum: how far things move from frame to frame."""


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
    if composition.squares and rng.random() < composition.squares:
        return _squares(rng, composition)
    if composition.slow and rng.random() < composition.slow:
        composition = replace(composition, speed=_SLOW * composition.speed)
    for _ in range(_TRIES):
        clip = _composed(rng, composition)
        if clip is not None:
            return clip
    raise RuntimeError("no clip with an object could be drawn: are the masks empty?")


def _squares(rng: Generator, composition: Composition) -> Clip:
    """Some squares of many, one to four frames apart."""
    most = max(composition.max_objects, (composition.side // _SQUARE_CELL) ** 2)
    number, gap = int(rng.integers(composition.max_objects, most + 1)), int(rng.integers(1, 5))
    made = make_squares(
        int(rng.integers(1 << 31)),
        num_frames=composition.frames * gap,
        height=composition.side,
        width=composition.side,
        num_objects=number,
    )
    labels = _numbered(rng, list(made.labels[::gap]), replace(composition, least_pixels=1))
    assert labels is not None
    return Clip(frames=np.stack(camera(rng, list(made.frames[::gap]))), labels=np.stack(labels))


def _composed(rng: Generator, composition: Composition) -> Clip | None:
    shares = np.array(composition.shares) / sum(composition.shares)
    source = composition.sources[rng.choice(len(composition.sources), p=shares)]
    footage = source.draw(rng, composition.frames, composition.side, composition.speed)
    if not composition.scene_objects:
        footage = replace(footage, labels=[np.zeros_like(labels) for labels in footage.labels])
    if composition.herds and rng.random() < composition.herds:
        footage = _herd(rng, footage, any_cutout(rng, composition.cutouts), composition)
    for _ in range(rng.poisson(composition.pastes)):
        footage = _paste(rng, footage, _some_cutout(rng, footage, composition), composition)
    for _ in range(rng.poisson(composition.newcomers)):
        footage = _enter(rng, footage, any_cutout(rng, composition.cutouts), composition)
    for _ in range(rng.poisson(composition.veils) if composition.veils else 0):
        footage = _veil(rng, footage, any_cutout(rng, composition.cutouts), composition)
    labels = _numbered(rng, footage.labels, composition)
    if labels is None:
        return None
    frames = camera(rng, footage.frames)
    if rng.random() < 0.05:
        frames = [np.repeat(f.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8) for f in frames]
    return Clip(frames=np.stack(frames), labels=np.stack(labels))


def _some_cutout(rng: Generator, footage: Footage, composition: Composition) -> Cutout:
    if rng.random() < composition.lookalikes:
        ids = [i for i in np.unique(footage.labels[0]) if i not in (0, VOID)]
        if ids:
            chosen = ids[rng.integers(len(ids))]
            mask = footage.labels[0] == chosen
            if mask.sum() >= composition.least_pixels:
                return Cutout(picture=footage.frames[0], mask=mask.astype(np.uint8) * 255)
    return any_cutout(rng, composition.cutouts)


def _paste(rng: Generator, footage: Footage, cutout: Cutout, composition: Composition) -> Footage:
    """With a cut-out that is there from the first frame on."""
    if composition.thin and rng.random() < composition.thin:
        cutout = strip(rng, cutout)
    start = _start(rng, cutout, footage.side, sizes=(0.15, 0.6))
    new_id = _next_id(footage)
    # Unlabelled, it is a distractor where it lies behind or beside, and an occluder where it crosses.
    label = new_id if rng.random() < 0.6 and new_id < VOID else 0
    poses = path(rng, start, len(footage.frames), speed=8.0 * composition.speed)
    if composition.depth and rng.random() < composition.depth:
        poses = approach(rng, poses, composition.speed)
    if rng.random() < composition.leaving:
        poses = leave_and_return(rng, poses, distance=2.0 * footage.side)
    return _with(rng, footage, cutout, poses, label, composition)


def _next_id(footage: Footage) -> int:
    return 1 + max(int(m[m != VOID].max(initial=0)) for m in footage.labels)


def _herd(rng: Generator, footage: Footage, cutout: Cutout, composition: Composition) -> Footage:
    """With many small copies of a cut-out, apart from each other in the first frame; each goes its own way."""
    size = float(rng.uniform(*composition.herd_sizes))
    small = shrunk(cutout, 2 * size * footage.side)
    number = int(rng.integers(composition.herd[0], composition.herd[1] + 1))
    centres: list[tuple[float, float]] = []
    for new_id in range(_next_id(footage), min(_next_id(footage) + number, VOID)):
        start = _start(rng, small, footage.side, sizes=(size, size))
        centres.append(_apart(rng, centres, footage.side))
        poses = path(rng, replace(start, centre=centres[-1]), len(footage.frames), speed=4.0 * composition.speed)
        footage = _with(rng, footage, small, poses, new_id, composition)
    return footage


def _apart(rng: Generator, others: Sequence[tuple[float, float]], side: int) -> tuple[float, float]:
    """Of some places in the crop the one that is farthest from those that are taken."""
    places = [(float(x), float(y)) for x, y in rng.uniform(0.08, 0.92, (_HERD_CANDIDATES, 2)) * side]
    return max(places, key=lambda place: min((math.dist(place, other) for other in others), default=0.0))


def _enter(rng: Generator, footage: Footage, cutout: Cutout, composition: Composition) -> Footage:
    """With a cut-out that comes in later; what passes right before the camera is large, and often dark."""
    start = _start(rng, cutout, footage.side, sizes=(0.15, 1.5))
    poses = path(rng, start, len(footage.frames), speed=8.0 * composition.speed)
    poses = come_in(rng, poses, distance=2.5 * footage.side)
    if rng.random() < 0.5:
        shade = math.exp(rng.uniform(math.log(0.1), 0))
        cutout = replace(cutout, picture=(cutout.picture * np.float32(shade)).astype(np.uint8))
    return _with(rng, footage, cutout, poses, 0, composition)


def _veil(rng: Generator, footage: Footage, cutout: Cutout, composition: Composition) -> Footage:
    """With a cut-out before an object's outline that goes away later."""
    ys, xs = np.nonzero((footage.labels[0] != 0) & (footage.labels[0] != VOID))
    if not len(ys):
        return footage
    pick = rng.integers(len(ys))
    start = replace(_start(rng, cutout, footage.side, sizes=(0.15, 0.5)), centre=(float(xs[pick]), float(ys[pick])))
    poses = path(rng, start, len(footage.frames), speed=4.0 * composition.speed)
    return _with(rng, footage, cutout, come_in(rng, poses[::-1], distance=2.0 * footage.side)[::-1], 0, composition)


def _start(rng: Generator, cutout: Cutout, side: int, sizes: tuple[float, float]) -> Pose:
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
    rng: Generator, footage: Footage, cutout: Cutout, poses: Sequence[Pose], label: int, composition: Composition
) -> Footage:
    fields = bends(rng, len(poses), footage.side, composition.bend, composition.speed)
    return footage.with_pasted(cutout, poses, fields, label)


def _numbered(rng: Generator, labels: Sequence[LabelMap], composition: Composition) -> list[LabelMap] | None:
    """Keep some objects of the first frame, numbered from 1; the others become background."""
    ids, counts = np.unique(labels[0], return_counts=True)
    found = [int(i) for i, n in zip(ids, counts, strict=True) if i not in (0, VOID) and n >= composition.least_pixels]
    if len(found) < composition.min_objects:
        return None
    kept = rng.permutation(found)[: composition.max_objects]
    table = np.zeros(256, np.uint8)
    table[VOID] = VOID
    table[kept] = np.arange(1, len(kept) + 1)
    return [table[m] for m in labels]
