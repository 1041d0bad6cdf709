"""Label Studio's own encoding of brush strokes: runs of bytes over the RGBA channels of a picture, in bits.

32 bits for the number of bytes, 5 for the bits of one less 1, 4 times 4 for the bits of a length less 1. Then, until
all bytes are there: a bit, two that choose how many bits the length has, the length less 1, and one byte that is
repeated (first bit 1) or so many that differ (0).
"""

import numpy as np
from numpy.typing import NDArray

from jobs.datasets.annotations.annotated import Size
from pipeline.errors import InvalidInput

_CHANNELS, _ALPHA = 4, 3
_WORD_BITS = 8


class _Bits:
    """Numbers of any width from a row of bits. Raises EOFError behind the last."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def take(self, width: int) -> int:
        begin, end = self._place, self._place + width
        if end > 8 * len(self._data):
            raise EOFError
        self._place = end
        window = int.from_bytes(self._data[begin // 8 : -(-end // 8)])
        return (window >> (-end % 8)) & ((1 << width) - 1)


def mask_of_brush(runs: object, size: Size, where: str) -> NDArray[np.bool_]:
    """The pixels [H, W] that are painted: those that are not transparent.

    Raises InvalidInput for what is damaged, or of another picture.
    """
    if not isinstance(runs, list) or not all(type(one) is int and 0 <= one < 256 for one in runs):
        raise InvalidInput(f"{where}: rle is no list of bytes; export it again as JSON")
    height, width = size
    try:
        bits = _Bits(bytes(runs))
        total = bits.take(32)
        if total != _CHANNELS * height * width:
            raise InvalidInput(
                f"{where}: the brush strokes are of {total // _CHANNELS} pixels, their picture has {width} x {height}; "
                "correct original_width and original_height"
            )
        values = _values(bits, total)
    except EOFError:
        raise InvalidInput(f"{where}: rle ends too early; export it again") from None
    painted: NDArray[np.bool_] = values.reshape(height, width, _CHANNELS)[..., _ALPHA] > 0
    return painted


def _values(bits: _Bits, total: int) -> NDArray[np.uint8]:
    word = bits.take(5) + 1
    length_bits = [bits.take(4) + 1 for _ in range(4)]
    values = np.zeros(total, np.uint8)
    done = 0
    while done < total:
        repeated, chosen = bits.take(1), bits.take(2)
        length = min(bits.take(length_bits[chosen]) + 1, total - done)
        if repeated:
            values[done : done + length] = bits.take(word) & (2**_WORD_BITS - 1)
        else:
            values[done : done + length] = [bits.take(word) & (2**_WORD_BITS - 1) for _ in range(length)]
        done += length
    return values
