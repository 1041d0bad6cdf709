"""Overlay: `VIDEO.mp4`, every frame with its masks in colour."""

from collections.abc import Iterator

from jobs.exports.format import Format
from jobs.exports.label_maps import OVERLAPS_GO, TABLES_ALONE, drawn
from jobs.exports.losses import Loss
from jobs.exports.pictures import with_pictures
from jobs.exports.sink import Sink
from jobs.exports.video import ExportedFrame, ExportedVideo
from jobs.pictures.mp4 import FOLDER_FPS, write_mp4
from jobs.pictures.overlay import blend
from pipeline.input.frames import Rgb


def _write(video: ExportedVideo, frames: Iterator[ExportedFrame], sink: Sink) -> None:
    path = sink.folder / "overlay.mp4"
    fps = (video.fps or FOLDER_FPS) / video.selection.every
    write_mp4(path, _drawn(video, frames, sink), fps)
    sink.put_file(f"{video.name}.mp4", path)


def _drawn(video: ExportedVideo, frames: Iterator[ExportedFrame], sink: Sink) -> Iterator[Rgb]:
    numbers = {object_id: object_id for object_id in video.object_ids}
    for frame, rgb in with_pictures(video, frames):
        yield blend(rgb, drawn(frame, video.size, numbers, sink))


OVERLAY = Format(
    name="overlay",
    lacks={
        Loss.OVERLAP: OVERLAPS_GO,
        Loss.IDENTITY: "colours tell objects apart",
        Loss.SCORE: TABLES_ALONE,
        Loss.UNCERTAINTY: TABLES_ALONE,
        Loss.TIME: "a constant rate instead",
        Loss.CLASS: TABLES_ALONE,
    },
    write=_write,
    from_pictures=True,
)
