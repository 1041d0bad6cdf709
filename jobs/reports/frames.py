"""Frames of a video as small JPEG files."""

from collections.abc import Iterator, Sequence

from jobs.pictures.encode import encode_jpeg
from jobs.pictures.resize import shrunk
from pipeline.errors import InvalidInput, UnreadableVideo
from pipeline.input.frame_folder import FrameFolder
from pipeline.input.frames import Frame
from pipeline.input.manifest import VideoTask
from pipeline.input.video import open_video
from pipeline.storage.store import Store, is_folder

SHORTER_SIDE = 480
"""Pixels of a picture, at most."""
_QUALITY = 82


def picture_name(safe: str, frame_index: int) -> str:
    """Where a frame's picture lies in the report."""
    return f"frames/{safe}/{frame_index}.jpg"


def put_pictures(
    store: Store, safe: str, task: VideoTask, size: tuple[int, int], indices: Sequence[int]
) -> Iterator[int]:
    """Write these frames, which ascend, as they are decoded; `size`: H and W of the video's masks.

    Yields the indices that were written. Raises InvalidInput where the video is not what was segmented any more,
    UnreadableVideo, InvalidOutput, StoreUnavailable.
    """
    for frame in decoded(task, size, indices):
        store.put(picture_name(safe, frame.index), encode_jpeg(shrunk(frame.rgb, SHORTER_SIDE), quality=_QUALITY))
        yield frame.index


def decoded(task: VideoTask, size: tuple[int, int], indices: Sequence[int]) -> Iterator[Frame]:
    """These frames, which ascend, as far as the video has them; `size`: H and W of its masks.

    Raises InvalidInput where the video is not what was segmented any more, UnreadableVideo, StoreUnavailable.
    """
    for frame in _decoded(task, indices) if indices else ():
        if frame.rgb.shape[:2] != size:
            raise InvalidInput(
                f"frame {frame.index} of {task.video_uri} has another size than its masks: the video was replaced, "
                "segment it again"
            )
        yield frame


def _decoded(task: VideoTask, indices: Sequence[int]) -> Iterator[Frame]:
    if _is_folder(task.video_uri):
        folder = FrameFolder(task.video_uri)
        for index in indices:
            yield from folder.frames(index, index + 1)
        return
    wanted = frozenset(indices)
    with open_video(task.video_uri, start_frame=min(indices), end_frame=max(indices) + 1) as video:
        yield from (frame for frame in video if frame.index in wanted)


def _is_folder(url: str) -> bool:
    try:
        return is_folder(url)
    except FileNotFoundError as error:
        raise UnreadableVideo(f"{url} does not exist: check video_uri in the manifest") from error
