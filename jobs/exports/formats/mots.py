"""MOTS as of KITTI: `instances/VIDEO/000000.png`, 16 bits of 1000 x class + object, and `instances_txt/VIDEO.txt`."""

from collections.abc import Iterator, Mapping

import cv2
import numpy as np

from jobs.exports.format import Corpus, Format
from jobs.exports.label_maps import IDS_CHANGE, OVERLAPS_GO, TABLES_ALONE, drawn, numbers_within, write_renumbered
from jobs.exports.losses import Loss
from jobs.exports.parts import Parts
from jobs.exports.sink import Sink
from jobs.exports.video import ExportedFrame, ExportedVideo
from model.result import Labels
from pipeline.errors import InvalidInput
from pipeline.output import rle

_CLASS_STEP = 1000
_MOST_CLASSES = 64
"""64,999 is the highest value that has all objects of its class."""


def _write(video: ExportedVideo, frames: Iterator[ExportedFrame], sink: Sink) -> None:
    if len(video.categories) > _MOST_CLASSES:
        raise InvalidInput(
            f"{len(video.categories)} classes are asked for, MOTS holds {_MOST_CLASSES}: leave --classes out"
        )
    numbers = {
        object_id: _CLASS_STEP * video.category_of(object_id) + number
        for object_id, number in numbers_within(video, _CLASS_STEP - 1, sink).items()
    }
    path = sink.folder / "instances.txt"
    with path.open("w") as text:
        for frame in frames:
            labels = drawn(frame, video.size, numbers, sink)
            sink.put(f"instances/{video.name}/{frame.place:06d}.png", _png(labels))
            text.writelines(_lines(frame, labels, numbers))
    sink.put_file(f"instances_txt/{video.name}.txt", path)


def _png(labels: Labels) -> bytes:
    return cv2.imencode(".png", labels.astype(np.uint16))[1].tobytes()


def _lines(frame: ExportedFrame, labels: Labels, numbers: Mapping[int, int]) -> Iterator[str]:
    overlap = sum(found.area for found in frame.objects) > np.count_nonzero(labels)
    height, width = labels.shape
    for found in frame.objects:
        number = numbers[found.object_id]
        # Readers refuse masks that overlap; where none do, the table's own need no work.
        counts = rle.encode(labels, [number])[0].counts if overlap else found.rle
        yield f"{frame.place} {number} {number // _CLASS_STEP} {height} {width} {counts}\n"


def _finish(corpus: Corpus, parts: Parts) -> None:
    parts.put("instances/labels.txt", "".join(f"{name}\n" for name in corpus.categories).encode())
    write_renumbered(corpus, parts)


MOTS = Format(
    name="mots",
    lacks={
        Loss.OVERLAP: OVERLAPS_GO,
        Loss.LARGE_ID: IDS_CHANGE,
        Loss.ABSENT: "no line says so",
        Loss.SCORE: TABLES_ALONE,
        Loss.UNCERTAINTY: TABLES_ALONE,
        Loss.TIME: TABLES_ALONE,
    },
    write=_write,
    finish=_finish,
    pictures="images",
)
