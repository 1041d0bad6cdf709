"""Frames beside what is written about them: linked, or copied."""

import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from jobs.exports.losses import Tally
from jobs.exports.sink import Sink
from jobs.exports.video import ExportedFrame, ExportedVideo
from jobs.pictures.encode import encode_jpeg
from pipeline.errors import InvalidInput
from pipeline.input.frames import Frame, Rgb
from pipeline.input.manifest import VideoTask
from pipeline.input.video import open_video
from pipeline.storage.store import Store, is_folder
from pipeline.storage.urls import split_url

_QUALITY = 95


class Frames(StrEnum):
    """Whether an export has frames in it."""

    NONE = "none"
    LINK = "link"
    """Symbolic links to the pictures of a folder, all on this machine."""
    COPY = "copy"
    """Pictures of a folder as they are, frames of a video file as JPEG."""


def write_pictures(video: ExportedVideo, frames: Frames, folder: str, sink: Sink) -> None:
    """Write the selected frames of a video as `folder/VIDEO/NAME`.

    Raises InvalidInput for links that cannot be made, UnreadableVideo, InvalidOutput, StoreUnavailable.
    """
    task = task_of(video)
    if is_folder(task.video_uri):
        _write_folder(video, task, frames, folder, sink)
    elif frames is Frames.LINK:
        raise InvalidInput(f"{task.video_uri} is no folder of pictures, so --frames link has none: use --frames copy")
    else:
        for exported, rgb in with_pictures(video, video.frames(Tally())):
            sink.put(f"{folder}/{video.name}/{exported.picture}", encode_jpeg(rgb, quality=_QUALITY))


def _write_folder(video: ExportedVideo, task: VideoTask, frames: Frames, folder: str, sink: Sink) -> None:
    source = Store(task.video_uri)
    for frame in video.frames(Tally()):
        name = f"{folder}/{video.name}/{frame.picture}"
        if frames is Frames.COPY:
            sink.put(name, source.get(frame.picture))
        else:
            _link(source.url_of(frame.picture), sink.store.url_of(name))


def _link(source: str, target: str) -> None:
    (from_protocol, path), (to_protocol, link) = split_url(source), split_url(target)
    if (from_protocol, to_protocol) != ("file", "file"):
        raise InvalidInput(f"--frames link cannot link {source} at {target}: use --frames copy")
    Path(link).parent.mkdir(parents=True, exist_ok=True)
    Path(link).unlink(missing_ok=True)
    os.symlink(path, link)


def task_of(video: ExportedVideo) -> VideoTask:
    """Its row of the manifest. Raises InvalidInput without one."""
    if video.task is None:
        raise InvalidInput("where the videos lie is not in OUTPUT: name the manifest it was made of with --manifest")
    return video.task


def with_pictures(video: ExportedVideo, frames: Iterator[ExportedFrame]) -> Iterator[tuple[ExportedFrame, Rgb]]:
    """The frames of an export with their pictures [H, W, 3].

    Raises InvalidInput when the video is not what was segmented any more, UnreadableVideo, StoreUnavailable.
    """
    task = task_of(video)
    with open_video(task.video_uri, start_frame=task.start_frame, end_frame=task.end_frame) as source:
        decoded: Iterator[Frame] = iter(source)
        for frame in frames:
            picture = next((one for one in decoded if one.index == frame.index), None)
            if picture is None or picture.rgb.shape[:2] != video.size:
                problem = "is gone" if picture is None else "has another size than its masks"
                raise InvalidInput(
                    f"{task.video_uri}: frame {frame.index} {problem}; the video was replaced, segment it again"
                )
            yield frame, picture.rgb
