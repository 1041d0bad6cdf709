"""The whole of a video as a small film, and the masks of its every frame, for a page that plays them.

    proxies/SAFE/video.mp4   H.264: a frame for each of the video's, at an even pace
    proxies/SAFE/N.js        what is in the frames 100 N to 100 N + 99 of the film

The masks have the size of the film, so that browsers keep up with them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from math import ceil

from jobs.pictures.mp4 import FOLDER_FPS, Encoding, rate_of, write_mp4
from jobs.pictures.resize import shrunk, shrunk_size
from jobs.reports.curves import Curves
from jobs.reports.frames import SHORTER_SIDE, decoded
from jobs.reports.object_frames import object_frame
from jobs.reports.scripts import data_script
from pipeline.errors import InvalidInput
from pipeline.input.frames import Rgb
from pipeline.input.manifest import VideoTask
from pipeline.output import rle
from pipeline.output.labels import CommittedVideo
from pipeline.scratch import Scratch
from pipeline.storage.store import Store

_FRAMES_A_SCRIPT = 100
_ENCODING = Encoding(crf=27, keyframes=24)


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """What a page needs to know of a film."""

    folder: str
    """Where it lies in the report."""
    first: int
    """frame_index of its first frame; the others follow one by one."""
    frames: int
    fps: tuple[int, int]
    """Numerator and denominator: frame n is shown from n / fps seconds on."""
    height: int
    width: int
    """Of its masks."""
    frames_a_script: int = _FRAMES_A_SCRIPT


def put_proxy(
    store: Store,
    safe: str,
    task: VideoTask,
    found: CommittedVideo,
    curves: Curves,
    fps: float | None,
    stop: Callable[[], bool] = lambda: False,
) -> Proxy:
    """Write the film of a committed video that has a frame, and its masks; in memory is one script of them.

    The film of a video that is shorter than its masks by now is as short.

    Raises KeyboardInterrupt where `stop` asks for it, InvalidInput where the video is not what was segmented any more,
    UnreadableVideo, FileNotFoundError when the result was replaced meanwhile, InvalidOutput, StoreUnavailable.
    """
    first, pace = int(curves.frame_T[0]), fps or FOLDER_FPS
    pictures = _pictures(task, found.size, range(first, first + len(curves.frame_T)), stop)
    height, width = shrunk_size(found.size, SHORTER_SIDE)
    proxy = Proxy(
        folder=f"proxies/{safe}",
        first=first,
        frames=_put_film(store, f"proxies/{safe}/video.mp4", pictures, pace, task),
        fps=rate_of(pace).as_integer_ratio(),
        height=height,
        width=width,
    )
    frames = _objects(found, curves, proxy.frames, stop)
    for number in range(ceil(proxy.frames / _FRAMES_A_SCRIPT)):
        name = f"{proxy.folder}/{number}.js"
        store.put(name, data_script("proxy", name, list(islice(frames, _FRAMES_A_SCRIPT))))
    return proxy


def _pictures(task: VideoTask, size: tuple[int, int], indices: range, stop: Callable[[], bool]) -> Iterator[Rgb]:
    for frame in decoded(task, size, indices):
        if stop():
            raise KeyboardInterrupt
        yield shrunk(frame.rgb, SHORTER_SIDE)


def _put_film(store: Store, name: str, pictures: Iterator[Rgb], fps: float, task: VideoTask) -> int:
    """Returns the number of frames."""
    # Looked at here: what encoding raises may be a ValueError too, and says something else.
    first = next(pictures, None)
    if first is None:
        raise InvalidInput(f"{task.video_uri} has none of the frames any more: segment it again")
    with Scratch() as scratch:
        film = scratch.folder / "video.mp4"
        frames = write_mp4(film, chain([first], pictures), fps, _ENCODING)
        store.put_file(name, film)
    return frames


def _objects(
    found: CommittedVideo, curves: Curves, frames: int, stop: Callable[[], bool]
) -> Iterator[Sequence[dict[str, object]]]:
    """What is in each of the first `frames` frames."""
    first = int(curves.frame_T[0])
    for place, frame in enumerate(found.labels(range(first, first + frames))):
        if stop():
            raise KeyboardInterrupt
        there = [one for one in curves.objects if one.object_id in frame.uncertainty]
        there.sort(key=lambda one: one.object_id)
        masks = rle.encode(shrunk(frame.labels, SHORTER_SIDE, labels=True), [one.object_id for one in there])
        yield [object_frame(one, place, mask.counts) for one, mask in zip(there, masks, strict=True)]
