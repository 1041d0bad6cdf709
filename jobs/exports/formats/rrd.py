"""Rerun: `VIDEO.rrd`, a recording with pictures, masks, and the curves of every object's score and uncertainty.

Needs the extra `rerun` (rerun-sdk).
"""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np

from jobs.exports.format import Format
from jobs.exports.label_maps import OVERLAPS_GO, drawn
from jobs.exports.losses import Loss
from jobs.exports.pictures import with_pictures
from jobs.exports.sink import Sink
from jobs.exports.video import ExportedFrame, ExportedVideo
from jobs.pictures.colours import object_colour
from jobs.pictures.encode import encode_jpeg
from pipeline.errors import InvalidInput

_QUALITY = 90
_US = 1e-6


def _write(video: ExportedVideo, frames: Iterator[ExportedFrame], sink: Sink) -> None:
    rerun = _library()
    path = sink.folder / "recording.rrd"
    recording = rerun.RecordingStream("vos-batch", recording_id=video.video_id)
    recording.save(path)
    numbers = {object_id: object_id for object_id in video.object_ids}
    with closing(_Recording(rerun, recording, video)) as written:
        for frame, rgb in with_pictures(video, frames):
            written.add(frame, encode_jpeg(rgb, quality=_QUALITY), drawn(frame, video.size, numbers, sink))
    sink.put_file(f"{video.name}.rrd", path)


def _library() -> Any:
    try:
        import rerun
    except ImportError as error:
        raise InvalidInput(f"rrd needs the library of Rerun ({error}): pip install 'vos-batch[rerun]'") from error
    return rerun


class _Recording:
    def __init__(self, rerun: Any, recording: Any, video: ExportedVideo) -> None:
        self._rerun, self._recording = rerun, recording
        infos = [
            rerun.AnnotationInfo(id=one, label=f"{video.class_of(one)} {one}", color=object_colour(one))
            for one in video.object_ids
        ]
        recording.log("video", rerun.AnnotationContext(infos), static=True)

    def add(self, frame: ExportedFrame, jpeg: bytes, labels: Any) -> None:
        rerun, recording = self._rerun, self._recording
        recording.set_time("frame", sequence=frame.index)
        if frame.timestamp_us is not None:
            recording.set_time("time", duration=frame.timestamp_us * _US)
        recording.log("video/picture", rerun.EncodedImage(contents=jpeg, media_type="image/jpeg"))
        recording.log("video/masks", rerun.SegmentationImage(labels.astype(np.uint16)))
        for found in frame.objects:
            for name, value in (("score", found.score), ("uncertainty", found.uncertainty)):
                if value is not None:
                    recording.log(f"{name}/{found.object_id}", rerun.Scalars([value]))

    def close(self) -> None:
        self._recording.disconnect()


RRD = Format(
    name="rrd",
    lacks={Loss.OVERLAP: OVERLAPS_GO, Loss.ABSENT: "their curves pause"},
    write=_write,
    from_pictures=True,
)
