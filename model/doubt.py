"""Hints as training gives them: some are missing, some are wrong, so that the network learns how far to trust them.

Without that it would only copy what it is told, and never find again what jumps, crosses or returns.

Legend: B clips, K channels, N = B K.
"""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from model.clip import Clip
from model.place import Place

_CLIP_MISSING, _CLIP_MISPLACED = 0.1, 0.15
"""Shares of the clips without any hint, and with all of them off alike, as after a cut."""
_MISSING, _MISPLACED, _OUTDATED = 0.1, 0.1, 0.1
"""Shares of the objects' hints that are not given, that are off, and that are of the first frame."""
_OFF = (0.1, 0.6)
"""How far a misplaced hint is off, in sides of the picture: least and most."""


class Doubts(NamedTuple):
    """What is wrong with the hints of a clip, in all its frames."""

    missing_N: Tensor
    outdated_N: Tensor
    offset_N2: Tensor
    """(y, x) in sides; 0 where nothing is."""

    def about(self, place: Place, first: Place) -> Place:
        """What is told instead of `place`; `first`: where the channels were in the clip's first frame."""
        side = place.map_Nyx.shape[-1]
        late = self.outdated_N
        return place._replace(
            map_Nyx=torch.where(late[:, None, None], first.map_Nyx, place.map_Nyx),
            known_N=torch.where(late, first.known_N, place.known_N) * ~self.missing_N,
            shift_N2=torch.where(late[:, None], 0.0, place.shift_N2) + side * self.offset_N2,
        )


def doubts(clips: Sequence[Clip], channels: int, device: torch.device) -> Doubts:
    """Drawn of each clip from its labels, so that it has the same ones whoever learns from it."""
    drawn = [_drawn(np.random.default_rng(zlib.crc32(clip.labels.tobytes())), channels) for clip in clips]
    return Doubts(*(torch.cat(parts).to(device) for parts in zip(*drawn, strict=True)))


def _drawn(rng: np.random.Generator, channels: int) -> Doubts:
    """The background alone is never misplaced: it is everywhere else."""
    fate = rng.choice(4, size=channels, p=[1 - _MISSING - _MISPLACED - _OUTDATED, _MISSING, _MISPLACED, _OUTDATED])
    whole = rng.random()
    none, cut = whole < _CLIP_MISSING, _CLIP_MISSING <= whole < _CLIP_MISSING + _CLIP_MISPLACED
    distance, angle = rng.uniform(*_OFF, channels), rng.uniform(0, 2 * np.pi, channels)
    off = np.stack([distance * np.sin(angle), distance * np.cos(angle)], axis=1)
    objects = np.arange(channels) > 0
    misplaced = (fate == 2) & objects
    if cut:
        off[:], misplaced[:] = off[0], True
    return Doubts(
        torch.from_numpy((fate == 1) | none),
        torch.from_numpy((fate == 3) & objects),
        torch.from_numpy(off * misplaced[:, None]).float(),
    )
