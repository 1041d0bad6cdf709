"""Stills in compressed form, so that a thousand of them fit into memory; each is decoded when it is asked for."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, overload

import numpy as np

from jobs.pictures.decode import decode_picture
from jobs.pictures.encode import encode_jpeg
from jobs.training.stills import Still

_JPEG_QUALITY = 95


@dataclass(frozen=True)
class PackedStill:
    """A still as JPEG and compressed labels."""

    name: str
    picture: bytes
    labels: bytes
    smallest_share: float

    @classmethod
    def of(cls, still: Still) -> Self:
        """Compress a still; its labels stay exact."""
        picture = encode_jpeg(still.picture, quality=_JPEG_QUALITY)
        return cls(still.name, picture, zlib.compress(still.labels.tobytes()), still.smallest_share)

    def still(self) -> Still:
        """What it was made of."""
        picture = decode_picture(self.picture, self.name)
        labels = np.frombuffer(zlib.decompress(self.labels), np.uint8).reshape(picture.shape[:2])
        return Still(name=self.name, picture=picture, labels=labels, smallest_share=self.smallest_share)


class PackedStills(Sequence[Still]):
    """Stills for who draws from them."""

    def __init__(self, packed: Sequence[PackedStill]) -> None:
        self._packed = packed

    def __len__(self) -> int:
        return len(self._packed)

    @overload
    def __getitem__(self, index: int) -> Still: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Still]: ...
    def __getitem__(self, index: int | slice) -> Still | Sequence[Still]:
        return PackedStills(self._packed[index]) if isinstance(index, slice) else self._packed[index].still()

    def __add__(self, other: "PackedStills") -> "PackedStills":
        return PackedStills([*self._packed, *other._packed])
