"""COCO run lengths from anywhere: read without trusting them, for its own library reads on behind a text that is cut.

Format: of pixels down the columns, first of the background, then in turns; as text each count less the last but one,
5 bits a character, the lowest first, each with a bit that says whether more follow.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from pipeline.errors import InvalidPrompt
from pipeline.input.manifest_files import shown

_BITS, _FIRST, _MORE = 5, 48, 32
_MOST = 2**31 - 1
_MOST_CHARACTERS = 7
"""Of a difference of two such counts."""


def uncompressed(counts: Any) -> list[int]:
    """The run lengths that text or a list holds. Raises InvalidPrompt for what is neither."""
    if isinstance(counts, str):
        return _from_text(counts)
    if not isinstance(counts, list | tuple) or not all(type(count) is int and 0 <= count <= _MOST for count in counts):
        raise InvalidPrompt(f"rle: counts is {shown(counts)}, expected COCO's text or a list of run lengths")
    return list(counts)


def compressed(counts: Sequence[int]) -> str:
    """Run lengths as text."""
    encoded = coco.frPyObjects({"size": [sum(counts), 1], "counts": list(counts)}, sum(counts), 1)
    return str(encoded["counts"], "ascii")


def mask_of(counts: Sequence[int], height: int, width: int) -> NDArray[np.bool_]:
    """The mask [height, width] of run lengths that sum up to its pixels."""
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, np.asarray(counts, np.int64)).reshape(width, height).T


def _from_text(text: str) -> list[int]:
    counts: list[int] = []
    value, place = 0, 0
    for character in text:
        bits = ord(character) - _FIRST
        if not 0 <= bits < 2 * _MORE or place == _MOST_CHARACTERS:
            raise InvalidPrompt(f"rle: counts is {shown(text)}, which is no text of COCO's: export it again")
        value |= (bits & (_MORE - 1)) << (_BITS * place)
        place += 1
        if not bits & _MORE:
            counts.append(_count(value, bits, place, counts, text))
            value, place = 0, 0
    if place:
        raise InvalidPrompt(f"rle: counts ends in the middle of a number ({shown(text)}): export it again")
    return counts


def _count(value: int, last_bits: int, characters: int, before: Sequence[int], text: str) -> int:
    if last_bits & (1 << (_BITS - 1)):  # negative
        value -= 1 << (_BITS * characters)
    if len(before) > 2:
        value += before[-2]
    if not 0 <= value <= _MOST:
        raise InvalidPrompt(f"rle: counts has a run of {value} pixels ({shown(text)}): export it again")
    return value
