"""Masks as COCO run lengths: column-major, background first, compressed counts (pycocotools' format).

All objects of a frame are encoded in one pass over its label map, by array operations that let other threads go on:
the one that feeds the network must not wait.

Legend: H, W frame size; K objects; R runs, those of one object after those of the other; C counts, likewise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from model.result import Labels

Ints = NDArray[np.int64]

_BITS = 5
"""Of a count in one character."""
_FIRST_CHARACTER = 48
_MORE_FOLLOWS = 1 << _BITS


@dataclass(frozen=True, kw_only=True)
class EncodedMask:
    """One mask as the `masks` table holds it."""

    counts: str
    area: int
    """Pixels."""
    box: tuple[int, int, int, int] | None
    """Tight box x, y, width, height in pixels; None when the mask is empty."""


class _Runs(NamedTuple):
    """Runs of pixels [start, end) down the columns."""

    start_R: Ints
    end_R: Ints
    object_R: Ints
    """Whose they are: ascending numbers 0 .. K - 1."""


def encode(labels_HW: Labels, object_ids: Sequence[int]) -> list[EncodedMask]:
    """Run lengths, area and tight box of the mask of each object; ids ascend."""
    if not object_ids:
        return []
    runs = _runs(labels_HW, object_ids)
    texts = _texts(runs, len(object_ids), labels_HW.size)
    areas_K = np.bincount(runs.object_R, runs.end_R - runs.start_R, len(object_ids)).astype(np.int64).tolist()
    boxes = _boxes(runs, labels_HW.shape[0])
    return [
        EncodedMask(counts=text, area=area, box=boxes.get(k))
        for k, (text, area) in enumerate(zip(texts, areas_K, strict=True))
    ]


def decode(counts: str, height: int, width: int) -> NDArray[np.bool_]:
    """The mask [height, width] of compressed counts."""
    mask: NDArray[np.uint8] = coco.decode({"size": [height, width], "counts": counts})
    return mask.astype(bool)


def _runs(labels_HW: Labels, object_ids: Sequence[int]) -> _Runs:
    pixels = _column_major(labels_HW)
    start = np.concatenate(([0], np.flatnonzero(pixels[1:] != pixels[:-1]) + 1))
    end = np.append(start[1:], pixels.size)
    ids_K, label = np.asarray(object_ids, np.int64), pixels[start].astype(np.int64)
    number = np.searchsorted(ids_K[:-1], label)
    wanted = np.flatnonzero(ids_K[number] == label)
    order = wanted[np.argsort(number[wanted], kind="stable")]
    return _Runs(start[order], end[order], number[order])


def _column_major(labels_HW: Labels) -> NDArray[Any]:
    """[W * H] in the smallest type that holds the labels: less to move."""
    kind = np.min_scalar_type(int(labels_HW.max()))
    return np.asarray(cv2.transpose(labels_HW.astype(kind) if kind.itemsize < 4 else labels_HW)).reshape(-1)


def _texts(runs: _Runs, objects: int, pixels: int) -> list[str]:
    """The compressed counts of each object."""
    counts_C, begin_K = _counts(runs, objects, pixels)
    differences_C = counts_C.copy()
    place_C = np.arange(len(counts_C)) - np.repeat(begin_K[:-1], np.diff(begin_K))
    later = np.flatnonzero(place_C > 2)
    differences_C[later] -= counts_C[later - 2]
    last_K = begin_K[1:] - 1
    left_out = last_K[(counts_C[last_K] == 0) & (place_C[last_K] > 0)]  # the mask goes to the last pixel
    length_C = _characters(differences_C)
    length_C[left_out] = 0
    text = _compressed(differences_C, length_C)
    end_K = np.add.reduceat(length_C, begin_K[:-1]).cumsum().tolist()
    return [text[begin:end] for begin, end in zip([0, *end_K[:-1]], end_K, strict=True)]


def _counts(runs: _Runs, objects: int, pixels: int) -> tuple[Ints, Ints]:
    """Of each object: gap and length of run after run, and the gap behind the last; where each begins [K + 1]."""
    start_R, end_R, object_R = runs
    before_R = np.append(0, end_R[:-1])
    before_R[np.flatnonzero(np.diff(object_R, prepend=-1))] = 0
    runs_K = np.bincount(object_R, minlength=objects)
    begin_K = np.append(0, (2 * runs_K + 1).cumsum())
    counts_C = np.full(begin_K[-1], pixels, np.int64)
    place_R = 2 * np.arange(len(start_R)) + object_R
    counts_C[place_R] = start_R - before_R
    counts_C[place_R + 1] = end_R - start_R
    last_R = np.flatnonzero(np.diff(object_R, append=objects))
    counts_C[place_R[last_R] + 2] = pixels - end_R[last_R]
    return counts_C, begin_K


def _characters(values_C: Ints) -> Ints:
    """How many characters a signed value takes."""
    size_C = np.where(values_C < 0, ~values_C, values_C)
    length_C = np.ones(len(values_C), np.int64)
    limit = 1 << (_BITS - 1)
    while (longer := size_C >= limit).any():
        length_C += longer
        limit <<= _BITS
    return length_C


def _compressed(values_C: Ints, length_C: Ints) -> str:
    """The lowest bits first, each character with a bit that says whether more follow."""
    digit = np.arange(length_C.max())
    bits = values_C[:, None] >> (_BITS * digit) & (_MORE_FOLLOWS - 1)
    more = digit < length_C[:, None] - 1
    characters = (bits + _MORE_FOLLOWS * more + _FIRST_CHARACTER).astype(np.uint8)
    return str(characters[digit < length_C[:, None]].tobytes(), "ascii")


def _boxes(runs: _Runs, height: int) -> dict[int, tuple[int, int, int, int]]:
    """The box of each object that is there, by its number."""
    if not len(runs.start_R):
        return {}
    (left_R, top_R), (right_R, bottom_R) = divmod(runs.start_R, height), divmod(runs.end_R - 1, height)
    across = left_R < right_R  # from one column into the next: it has the last pixel and the first
    top_R[across], bottom_R[across] = 0, height - 1
    first = np.flatnonzero(np.diff(runs.object_R, prepend=-1))
    x, right = left_R[first], np.maximum.reduceat(right_R, first)
    y, bottom = np.minimum.reduceat(top_R, first), np.maximum.reduceat(bottom_R, first)
    boxes = np.stack([x, y, right - x + 1, bottom - y + 1], axis=1).tolist()
    return {k: (x, y, w, h) for k, (x, y, w, h) in zip(runs.object_R[first].tolist(), boxes, strict=True)}
