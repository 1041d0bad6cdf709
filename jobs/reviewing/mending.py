"""What corrections are expected to mend: which frames to ask about, and what each answer is worth.

A corrected mask is a further prompt: it is right on its own frame, and the network goes on from it with a bank that
holds it. So it mends its own frame wholly, and those behind it in part: the less the farther they lie, and no more
than was wrong on its own frame, for a mask that is right already teaches nothing. A frame behind several corrections
has the best of these: what one mends the next cannot mend again, near a prompt there is little to mend, and neighbours
of a chosen frame have little left to give. So the best frame of a bad stretch lies where it begins to be bad in
earnest, and the greedy choice is at least 63 % of the best one (Nemhauser et al. 1978, as the sum is submodular).

Legend: K objects, T frames of them, D frames that a correction reaches.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_LEAST = 0.05
_AT_A_TIME = 4096
"""Frames whose gains are counted together, D numbers each."""


@dataclass(frozen=True, kw_only=True)
class Mending:
    """How far a correction reaches; docs/review.md says on which sequences it was chosen."""

    behind: float = 0.25
    """Share that it mends of the loss behind it, as far as its own frame had that loss too."""
    half_life: float = 20.0
    """Frames after which half of that is left."""
    when_empty: float = 0.5
    """What an answer is worth where no pixel was found: the object may be hidden, and then nothing is mended."""
    apart: int = 6
    """Frames to each side of a chosen one that count to the same event, as far as they are about as bad."""
    reach: int = 60
    """Frames that are looked at, its own included."""

    def shares(self) -> Floats:
        """[D] of the common loss, by distance from the corrected frame, which itself is mended wholly."""
        distance = np.arange(1, self.reach)
        return np.append(1.0, self.behind * 0.5 ** (distance / self.half_life))


class Pick(NamedTuple):
    """A frame to ask about, by its place among the frames."""

    place: int
    first: int
    """Of the event that it stands for; `last` is its last frame."""
    last: int
    worst: int
    """The object of which most is mended, by its place among the objects."""
    gain: float
    """Object-frames' J that the correction is expected to mend, after the picks before."""


class Mendable:
    """Objects that are corrected together, and what the picks so far leave of their loss."""

    def __init__(
        self, loss_KT: Floats, *, known_KT: Flags, prompted_KT: Flags, empty_KT: Flags, mending: Mending
    ) -> None:
        """`loss_KT`: expected 1 - J; `known_KT`: the object has had a prompt; `empty_KT`: it has no pixel."""
        may_ask_KT = known_KT & ~prompted_KT
        self._shares_D, self._apart = mending.shares(), mending.apart
        # What is lost behind a prompt is the rest of what would be lost without it.
        left_KT = 1.0 - _behind_prompts(prompted_KT, self._shares_D)
        self._loss_KT = np.where(may_ask_KT, np.minimum(loss_KT / np.maximum(left_KT, _LEAST), 1.0), 0.0)
        self._mended_KT = np.where(may_ask_KT, self._loss_KT - np.minimum(loss_KT, self._loss_KT), 0.0)
        self._worth_KT = np.where(may_ask_KT, np.where(empty_KT, mending.when_empty, 1.0), 0.0)
        self._gain_KT = np.zeros(loss_KT.shape)
        self._free_T = np.asarray(may_ask_KT.any(axis=0))
        for start in range(0, loss_KT.shape[1], _AT_A_TIME):
            self._recount(start, min(start + _AT_A_TIME, loss_KT.shape[1]))

    def close(self, closed_T: Flags) -> None:
        """Never ask about these frames."""
        self._free_T = np.logical_and(self._free_T, ~closed_T)

    def picks(self) -> Iterator[Pick]:
        """Frames in the order in which they should be asked about; what they are worth never rises."""
        while True:
            gain_T = np.where(self._free_T, self._gain_KT.sum(axis=0), 0.0)
            place = int(gain_T.argmax()) if len(gain_T) else 0
            if not len(gain_T) or gain_T[place] <= 0:
                return
            worst = int(self._gain_KT[:, place].argmax())
            first, last = self._event(worst, place)
            yield Pick(place, first, last, worst, float(gain_T[place]))
            self._take(place, first, last)

    def _event(self, worst: int, place: int) -> tuple[int, int]:
        """The frames around `place` that are about as bad and that no other pick stands for."""
        near = self._apart
        loss_T = self._loss_KT[worst]
        bad_T = self._free_T & (loss_T >= loss_T[place] / 2)
        start, stop = max(0, place - near), min(len(bad_T), place + near + 1)
        before, after = np.flatnonzero(~bad_T[start:place]), np.flatnonzero(~bad_T[place + 1 : stop])
        first = start + int(before[-1]) + 1 if len(before) else start
        last = place + int(after[0]) if len(after) else stop - 1
        return first, last

    def _take(self, place: int, first: int, last: int) -> None:
        reach = min(len(self._shares_D), len(self._free_T) - place)
        self._mended_KT[:, place : place + reach] = np.maximum(
            self._mended_KT[:, place : place + reach], self._mends(place, 1)[:, 0, :reach]
        )
        self._free_T[first : last + 1] = False
        self._recount(max(0, place - len(self._shares_D) + 1), place + reach)

    def _mends(self, start: int, number: int) -> Floats:
        """[K, number, D] what corrections of these frames would mend of the loss at each distance."""
        own_Kn1 = self._loss_KT[:, start : start + number, None]
        worth_Kn1 = self._worth_KT[:, start : start + number, None]
        common_KnD = np.minimum(_windows(self._loss_KT, start, number, len(self._shares_D)), own_Kn1)
        return worth_Kn1 * self._shares_D * common_KnD

    def _recount(self, start: int, stop: int) -> None:
        """What a pick of each of these frames would mend."""
        number, reach = stop - start, len(self._shares_D)
        mended_KnD = _windows(self._mended_KT, start, number, reach)
        more_KnD = np.maximum(self._mends(start, number) - mended_KnD, 0.0)
        self._gain_KT[:, start:stop] = more_KnD.sum(axis=2)


def _behind_prompts(prompted_KT: Flags, shares_D: Floats) -> Floats:
    """[K, T] the share of the loss that the last prompt has mended already."""
    places_KT = np.where(prompted_KT, np.arange(prompted_KT.shape[1]), -len(shares_D))
    since_KT = np.arange(prompted_KT.shape[1]) - np.maximum.accumulate(places_KT, axis=1)
    return np.append(shares_D, 0.0)[np.minimum(since_KT, len(shares_D))]


def _windows(values_KT: Floats, start: int, number: int, reach: int) -> Floats:
    """[K, number, D] the values at each place and behind it; 0 beyond the last frame."""
    behind = np.zeros((len(values_KT), reach - 1), values_KT.dtype)
    padded = np.concatenate([values_KT[:, start:], behind], axis=1)[:, : number + reach - 1]
    if not number or not len(values_KT):
        return np.zeros((len(values_KT), number, reach), values_KT.dtype)
    return np.lib.stride_tricks.sliding_window_view(padded, reach, axis=1)
