"""YOLO segmentation: `labels/VIDEO/FRAME.txt`, a line an object: its class and one outline, as shares of the frame.

An outline runs through the middles of an object's outermost pixels. Further parts of the object and its holes hang on
it by bridges, for a line has room for one outline alone; so pixels between parts are lost, but no hole is.
"""

import json
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.exports.format import Corpus, Format
from jobs.exports.losses import Loss
from jobs.exports.parts import Parts
from jobs.exports.sink import Sink
from jobs.exports.video import ExportedFrame, ExportedVideo

Ring = NDArray[np.int32]
"""[N, 2]: x and y of pixels, closed."""

_FEWEST_POINTS = 3


def _write(video: ExportedVideo, frames: Iterator[ExportedFrame], sink: Sink) -> None:
    for frame in frames:
        lines = []
        for found in frame.objects:
            mask = found.mask()
            ring = outline(mask)
            sink.lost(Loss.OUTLINE, int(np.count_nonzero(filled(ring, video.size) != mask)))
            lines.append(_line(video.category_of(found.object_id) - 1, ring, video.size))
        sink.put(f"labels/{video.name}/{frame.stem}.txt", "".join(lines).encode())


def outline(mask: NDArray[np.bool_]) -> Ring:
    """One ring around all parts of a mask [H, W] that has a pixel, and around its holes."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    ring, *others = sorted((contour[:, 0, :].astype(np.int32) for contour in contours), key=len, reverse=True)
    for other in others:
        ring = _joined(ring, other)
    return np.pad(ring, ((0, max(0, _FEWEST_POINTS - len(ring))), (0, 0)), mode="edge")


def _joined(ring: Ring, other: Ring) -> Ring:
    """Both, with a way there and back between their nearest corners."""
    distances = ((ring[:, None, :] - other[None, :, :]) ** 2).sum(axis=2)
    here, there = np.unravel_index(int(distances.argmin()), distances.shape)
    return np.concatenate([ring[: here + 1], other[there:], other[: there + 1], ring[here:]])


def filled(ring: Ring, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask [H, W] that readers make of a ring."""
    canvas = np.zeros(size, np.uint8)
    cv2.fillPoly(canvas, [ring], (1,))
    return canvas.astype(bool)


def _line(category: int, ring: Ring, size: tuple[int, int]) -> str:
    # Some readers round and some cut off: this is the right pixel for both.
    shares = (ring + 0.25) / (size[1], size[0])
    return f"{category} {' '.join(f'{share:.7g}' for share in shares.ravel())}\n"


def _finish(corpus: Corpus, parts: Parts) -> None:
    names = "".join(f"  {number}: {json.dumps(name)}\n" for number, name in enumerate(corpus.categories))
    parts.put("data.yaml", f"path: .\ntrain: images\nval: images\nnames:\n{names}".encode())


YOLO_SEG = Format(
    name="yolo-seg",
    lacks={
        Loss.IDENTITY: "a line has a class alone",
        Loss.OUTLINE: "bridges between parts of an object cover them",
        Loss.ABSENT: "no line says so",
        Loss.SCORE: "in the tables alone",
        Loss.UNCERTAINTY: "in the tables alone",
        Loss.TIME: "in the tables alone",
    },
    write=_write,
    finish=_finish,
    pictures="images",
)
