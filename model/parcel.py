"""What comes back of a frame: some tensors as one line of bytes, so that a GPU is waited for once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.transfer import Download

_TYPES = {
    torch.uint8: np.uint8,
    torch.int16: np.int16,
    torch.int32: np.int32,
    torch.int64: np.int64,
    torch.float32: np.float32,
    torch.bool: np.bool_,
}


class Parcel:
    """Tensors of any shapes and of these types, on one device."""

    def __init__(self, contents: Sequence[Tensor]) -> None:
        """Packs them there; nothing waits."""
        self._shapes = [(tuple(x.shape), _TYPES[x.dtype]) for x in contents]
        self._line = torch.cat([x.reshape(-1).view(torch.uint8) for x in contents])

    def send(self) -> Download:
        """The bytes, on their way to the CPU: the one transfer, and the one wait."""
        return Download(self._line)

    def opened(self, line: Tensor) -> list[NDArray[Any]]:
        """What was packed, of what `send` fetches."""
        contents: list[NDArray[Any]] = []
        begin, values = 0, line.numpy()
        for shape, kind in self._shapes:
            end = begin + int(np.prod(shape, dtype=np.int64)) * np.dtype(kind).itemsize
            contents.append(values[begin:end].copy().view(kind).reshape(shape))
            begin = end
        return contents
