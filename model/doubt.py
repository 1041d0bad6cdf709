"""Hints as training gives them: some are missing, some are wrong, so that the network learns how far to trust them.

Without that it would only copy what it is told, and never find again what jumps, crosses or returns. And it would
keep its own errors: a clip is short, a video is not, so hints are also spoilt as drift spoils them, by what
has leaked into an object and by parts that it has lost.

Legend: B clips, K channels, N = B K, y x positions of a hint (strides of 8).
"""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from model.clip import Clip
from model.place import Place

_CLIP_MISSING, _CLIP_MISPLACED = 0.1, 0.1
"""Shares of the clips without any hint, and with all of them off alike, as after a cut."""
_MISSING, _MISPLACED, _OUTDATED = 0.08, 0.08, 0.08
"""Shares of the objects' hints that are not given, that are off, and that are of the first frame."""
_OFF = (0.1, 0.6)
"""How far a misplaced hint is off, in sides of the picture: least and most."""
_LEAKS, _LEAKS_FROM_OBJECT = 0.3, 0.4
"""Share of the objects with something else in their hint; of these what is another object's, the rest is a blob."""
_LEAK = (0.3, 0.95)
"""How surely it is taken for the object: least and most."""
_LEAK_OFF, _LEAK_SIZE = (0.4, 2.0), (0.3, 1.0)
"""Of a blob: how far from the object's centre, and its radius, in roots of the object's area."""
_HOLES = 0.25
"""Share of the objects that have lost a part."""
_HOLE_OFF, _HOLE_SIZE = (0.1, 0.6), (0.2, 0.6)
"""As of a blob."""
_SUDDEN = 0.5
"""Share of the clips whose hints are true until some frame, the others' are in doubt from the first."""


class Doubts(NamedTuple):
    """What is wrong with the hints of some clips that have equally many channels."""

    begin_BK: Tensor
    """The frame from which on it is so, the same for all channels of a clip."""
    missing_BK: Tensor
    outdated_BK: Tensor
    offset_BK2: Tensor
    """(y, x) in sides; 0 where nothing is."""
    leak_BK: Tensor
    """How surely what has leaked in is taken for the object; 0 where nothing has."""
    other_BK: Tensor
    """The channel that it belongs to, -1: none, it is a blob."""
    blob_BK3: Tensor
    """(y, x) from the object's centre, and radius, in roots of its area."""
    hole_BK3: Tensor
    """A part that is lost, as the blob; a radius of 0 where none is."""

    def about(self, place: Place, first: Place, frame: int) -> Place:
        """What is told of frame `frame` - 1 instead of `place`; `first`: where the channels were in the first frame."""
        doubted_N = (self.begin_BK <= frame).flatten()
        late_N = doubted_N & self.outdated_BK.flatten()
        side = place.map_Nyx.shape[-1]
        map_Nyx = torch.where(late_N[:, None, None], first.map_Nyx, place.map_Nyx)
        return place._replace(
            map_Nyx=torch.where(doubted_N[:, None, None], self._spoilt(place, map_Nyx), map_Nyx),
            known_N=torch.where(late_N, first.known_N, place.known_N) * ~(doubted_N & self.missing_BK.flatten()),
            shift_N2=torch.where(late_N[:, None], 0.0, place.shift_N2)
            + side * self.offset_BK2.flatten(0, 1) * doubted_N[:, None],
        )

    def _spoilt(self, place: Place, map_Nyx: Tensor) -> Tensor:
        """With leaks, which the other channels lose, and without what has become background."""
        true = map_Nyx.unflatten(0, self.leak_BK.shape)
        lost = true * _disks(place, self.hole_BK3)
        kept = true - lost
        kept[:, 0] += lost.sum(dim=1)
        index = self.other_BK.clamp(min=0)[..., None, None].expand_as(true)
        blobs = _disks(place, self.blob_BK3)
        leaks = torch.where((self.other_BK >= 0)[..., None, None], true.gather(1, index), blobs)
        leaks = leaks * self.leak_BK[..., None, None]
        stays = 1 - leaks
        others = stays.prod(dim=1, keepdim=True) / stays  # never by zero: a leak is never wholly sure
        return torch.maximum(kept * others, leaks).flatten(0, 1)


def _disks(place: Place, disk_BK3: Tensor) -> Tensor:
    """[B, K, y, x] 1 within each disk, 0 outside, with an edge of one position."""
    disk_N3 = disk_BK3.flatten(0, 1)
    size_N = place.map_Nyx.sum(dim=(1, 2)).sqrt()
    centre_N2 = place.centre_N2 + size_N[:, None] * disk_N3[:, :2]
    rows, columns = (torch.arange(n, device=size_N.device, dtype=size_N.dtype) for n in place.map_Nyx.shape[1:])
    y_Ny, x_Nx = rows - centre_N2[:, :1], columns - centre_N2[:, 1:]
    distance_Nyx = (y_Ny.square()[:, :, None] + x_Nx.square()[:, None, :]).sqrt()
    radius_N = size_N * disk_N3[:, 2]
    disks = (radius_N[:, None, None] - distance_Nyx + 0.5).clamp(0, 1) * (radius_N > 0)[:, None, None]
    return disks.unflatten(0, disk_BK3.shape[:2])


def doubts(clips: Sequence[Clip], channels: int, device: torch.device) -> Doubts:
    """Drawn of each clip from its labels, so that it has the same ones whoever learns from it."""
    drawn = [_drawn(np.random.default_rng(zlib.crc32(c.labels.tobytes())), channels, len(c.labels)) for c in clips]
    return Doubts(*(torch.from_numpy(np.stack(parts)).to(device) for parts in zip(*drawn, strict=True)))


def _drawn(rng: np.random.Generator, channels: int, frames: int) -> tuple[np.ndarray, ...]:
    """One clip's, in the order of `Doubts`. The background alone is never wrong: it is everywhere else."""
    objects = np.arange(channels) > 0
    fate = rng.choice(4, size=channels, p=[1 - _MISSING - _MISPLACED - _OUTDATED, _MISSING, _MISPLACED, _OUTDATED])
    whole = rng.random()
    none, cut = whole < _CLIP_MISSING, _CLIP_MISSING <= whole < _CLIP_MISSING + _CLIP_MISPLACED
    off, misplaced = _ways(rng, channels, _OFF), (fate == 2) & objects
    if cut:
        off[:], misplaced[:] = off[0], True
    begin = rng.integers(1, max(2, frames)) if rng.random() < _SUDDEN else 1
    leaks, holes = (rng.random((2, channels)) < [[_LEAKS], [_HOLES]]) & objects
    hole_size = rng.uniform(*_HOLE_SIZE, channels) * holes
    return (
        np.full(channels, begin),
        (fate == 1) | none,
        (fate == 3) & objects,
        (off * misplaced[:, None]).astype(np.float32),
        (rng.uniform(*_LEAK, channels) * leaks).astype(np.float32),
        _others(rng, channels),
        np.column_stack([_ways(rng, channels, _LEAK_OFF), rng.uniform(*_LEAK_SIZE, channels)]).astype(np.float32),
        np.column_stack([_ways(rng, channels, _HOLE_OFF), hole_size]).astype(np.float32),
    )


def _ways(rng: np.random.Generator, channels: int, lengths: tuple[float, float]) -> np.ndarray:
    """[K, 2] (y, x), of a length between two and any direction."""
    length, angle = rng.uniform(*lengths, channels), rng.uniform(0, 2 * np.pi, channels)
    return np.stack([length * np.sin(angle), length * np.cos(angle)], axis=1)


def _others(rng: np.random.Generator, channels: int) -> np.ndarray:
    """[K] for each channel another object, or -1."""
    if channels < 3:
        return np.full(channels, -1)
    step = rng.integers(1, channels - 1, channels)
    other = 1 + (np.arange(channels) - 1 + step) % (channels - 1)
    return np.where(rng.random(channels) < _LEAKS_FROM_OBJECT, other, -1)
