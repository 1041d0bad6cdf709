"""DAVIS: `Annotations/VIDEO/FRAME.png`, palette PNG whose index is the object's id."""

from collections.abc import Iterator

from jobs.exports.format import Format
from jobs.exports.label_maps import IDS_CHANGE, OVERLAPS_GO, TABLES_ALONE, numbers_within, write_renumbered
from jobs.exports.label_pngs import MOST_OBJECTS, write_label_png
from jobs.exports.losses import Loss
from jobs.exports.sink import Sink
from jobs.exports.video import ExportedFrame, ExportedVideo


def _write(video: ExportedVideo, frames: Iterator[ExportedFrame], sink: Sink) -> None:
    numbers = numbers_within(video, MOST_OBJECTS, sink)
    for frame in frames:
        write_label_png(video, frame, numbers, sink)


DAVIS = Format(
    name="davis",
    lacks={
        Loss.OVERLAP: OVERLAPS_GO,
        Loss.LARGE_ID: IDS_CHANGE,
        Loss.SCORE: TABLES_ALONE,
        Loss.UNCERTAINTY: TABLES_ALONE,
        Loss.TIME: TABLES_ALONE,
        Loss.CLASS: "youtube-vos holds them",
    },
    write=_write,
    finish=write_renumbered,
    pictures="JPEGImages",
)
