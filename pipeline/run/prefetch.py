"""A video that is open, with its prompts and its first frames decoded ahead; the next one opens meanwhile."""

import threading
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Self

from pipeline.errors import PipelineError, Remedy
from pipeline.input.box_masks import BoxMasks
from pipeline.input.frames import MAX_PIXELS, Frame
from pipeline.input.manifest import VideoTask
from pipeline.input.prompts import load_prompts
from pipeline.input.video import open_video
from pipeline.overlap import Ahead, Aside


class OpenVideo:
    """What a worker reads of one video; a context manager that closes it."""

    def __init__(
        self,
        task: VideoTask,
        *,
        binary_masks: bool,
        queue_frames: int,
        max_pixels: int = MAX_PIXELS,
        box_masks: BoxMasks = "network",
    ) -> None:
        """Opens everything; at most `queue_frames` decoded frames wait. Raises as `open_video` and `load_prompts`."""
        self.task = task
        with ExitStack() as opened:
            self.reader = opened.enter_context(
                open_video(
                    task.video_uri, start_frame=task.start_frame, end_frame=task.end_frame, max_pixels=max_pixels
                )
            )
            info = self.reader.info
            self.prompts = load_prompts(task, info.height, info.width, binary_masks=binary_masks, box_masks=box_masks)
            self.frames: Ahead[Frame] = opened.enter_context(Ahead(self.reader, queue_frames, Frame.num_bytes))
            self._opened = opened.pop_all()

    def close(self) -> None:
        """End the decoding and release the file."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Prefetch:
    """At most one video that is opened in a thread, so that waiting for a store falls into another video's time."""

    def __init__(
        self,
        *,
        binary_masks: bool,
        queue_frames: int,
        max_pixels: int = MAX_PIXELS,
        box_masks: BoxMasks = "network",
    ) -> None:
        """As of `OpenVideo`."""
        self._open = partial(
            OpenVideo,
            binary_masks=binary_masks,
            queue_frames=queue_frames,
            max_pixels=max_pixels,
            box_masks=box_masks,
        )
        self._thread = Aside("prefetch")
        self._lock = threading.Lock()
        self._task: VideoTask | None = None
        self._video: Future[OpenVideo] | None = None

    def begin(self, task: VideoTask) -> None:
        """Open what probably comes next, without waiting for it; closes the one before, if nobody asked for it."""
        with self._lock:
            self._drop()
            self._task, self._video = task, self._thread.submit(self._open, task)

    def take(self, task: VideoTask) -> OpenVideo:
        """The video of `task`, opened now if it was not begun; the caller closes it. Raises as `OpenVideo`."""
        with self._lock:
            begun = self._video if self._task == task else None
            if begun is not None:
                self._task = self._video = None
        if begun is None or begun.cancel():  # still behind another one
            return self._open(task)
        try:
            return begun.result()
        except PipelineError as error:
            if error.remedy is Remedy.NONE:
                raise
        return self._open(task)  # what failed then may work now

    def close(self) -> None:
        """Close what nobody asked for; waits for what is being opened."""
        with self._lock:
            self._drop()
        self._thread.close()

    def _drop(self) -> None:
        if self._video is not None and not self._video.cancel():
            self._thread.submit(_close, self._video)  # closing may wait for the store
        self._task = self._video = None


def _close(video: Future[OpenVideo]) -> None:
    if video.exception() is None:
        video.result().close()
