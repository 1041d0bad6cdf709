"""The label PNGs that DAVIS and YouTube-VOS share."""

from collections.abc import Mapping

import numpy as np

from jobs.exports.label_maps import drawn
from jobs.exports.sink import Sink
from jobs.exports.video import ExportedFrame, ExportedVideo
from jobs.pictures.encode import encode_palette_png
from model.result import VOID

MOST_OBJECTS = VOID - 1


def write_label_png(video: ExportedVideo, frame: ExportedFrame, numbers: Mapping[int, int], sink: Sink) -> None:
    """Write `Annotations/VIDEO/FRAME.png` with these `numbers` of the objects, 1 to 254."""
    labels = drawn(frame, video.size, numbers, sink).astype(np.uint8)
    sink.put(f"Annotations/{video.name}/{frame.stem}.png", encode_palette_png(labels))
