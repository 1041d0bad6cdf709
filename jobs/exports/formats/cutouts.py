"""Cut-outs: `VIDEO/OBJECT/FRAME.png`, the object alone in its tight box, all else transparent."""

from collections.abc import Iterator

import cv2
import numpy as np

from jobs.exports.format import Format
from jobs.exports.losses import Loss
from jobs.exports.pictures import with_pictures
from jobs.exports.sink import Sink
from jobs.exports.video import ExportedFrame, ExportedVideo, ObjectFrame
from pipeline.input.frames import Rgb


def _write(video: ExportedVideo, frames: Iterator[ExportedFrame], sink: Sink) -> None:
    for frame, rgb in with_pictures(video, frames):
        for found in frame.objects:
            sink.put(f"{video.name}/{found.object_id}/{frame.stem}.png", _cut(rgb, found))


def _cut(rgb: Rgb, found: ObjectFrame) -> bytes:
    x, y, w, h = found.box
    alpha = 255 * found.mask()[y : y + h, x : x + w].astype(np.uint8)
    # What cannot be seen is black: it packs better, and nobody finds the background in it.
    bgr = np.where(alpha[..., None] > 0, rgb[y : y + h, x : x + w, ::-1], 0)
    return cv2.imencode(".png", np.dstack([bgr, alpha]))[1].tobytes()


CUTOUTS = Format(
    name="cutouts",
    lacks={
        Loss.ABSENT: "no file says so",
        Loss.SCORE: "in the tables alone",
        Loss.UNCERTAINTY: "in the tables alone",
        Loss.TIME: "in the tables alone",
        Loss.CLASS: "in the tables alone",
    },
    write=_write,
    from_pictures=True,
)
