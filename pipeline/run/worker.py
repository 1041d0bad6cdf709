"""One worker: a plain class that segments whole videos. A pool gives it a process, a GPU and its next video."""

import platform
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from model import checkpoint
from model.errors import BudgetTooSmall, ModelError
from model.errors import OutOfMemory as ModelOutOfMemory
from model.network import AFBURR
from model.result import FrameResult, Prompt
from model.segmenter import VideoSegmenter
from pipeline.errors import (
    Interrupted,
    InvalidCheckpoint,
    InvalidInput,
    InvalidPrompt,
    OutOfMemory,
    PipelineError,
    SegmentationFailed,
)
from pipeline.input.frames import Frame
from pipeline.input.manifest import VideoTask
from pipeline.input.video import VideoReader
from pipeline.input.weights import load_network
from pipeline.output.writer import FileRecord, VideoWriter
from pipeline.overlap import Behind
from pipeline.run.config import WorkerConfig
from pipeline.run.prefetch import Prefetch, Source
from pipeline.storage.store import Store

_SMALLER = 8
"""How much less workspace an attempt gets after one ran out of memory."""


@dataclass(frozen=True, kw_only=True)
class VideoOutcome:
    """A finished attempt: the files are put, the driver may commit them."""

    video_id: str
    files: Mapping[str, FileRecord]
    video: Mapping[str, object]
    """The worker's columns of the `videos` row."""


@dataclass
class _Seconds:
    """Where the time of one video went."""

    decode: float = 0.0
    network: float = 0.0
    write: float = 0.0
    began: float = field(default_factory=time.monotonic)

    @contextmanager
    def spent_on(self, stage: str) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            setattr(self, stage, getattr(self, stage) + time.monotonic() - start)


@dataclass(frozen=True, kw_only=True)
class WorkerCounts:
    """How far workers are; sums over workers are counts too."""

    frames_done: int = 0
    """Frames segmented, those of failed attempts included."""
    frames_begun: int = 0
    """Frames that the videos begun so far have, as far as their headers tell."""
    videos_begun: int = 0
    """Videos that `frames_begun` is about."""

    def __add__(self, other: "WorkerCounts") -> "WorkerCounts":
        return WorkerCounts(
            frames_done=self.frames_done + other.frames_done,
            frames_begun=self.frames_begun + other.frames_begun,
            videos_begun=self.videos_begun + other.videos_begun,
        )


class VideoWorker:
    """`setup` once, `process` per video, `close` at the end."""

    def __init__(self, config: WorkerConfig) -> None:
        self.config = config
        self.counts = WorkerCounts()
        """How far this worker is; other threads may read it."""
        self._device = torch.device("cpu")
        self._network: AFBURR | None = None
        self._stopped = threading.Event()
        self._prefetch = Prefetch(binary_masks=config.binary_masks, queue_frames=config.queue_frames)

    def setup(self) -> None:
        """Take the device and load the weights.

        Raises:
            InvalidInput: a GPU was asked for but none is visible.
            InvalidCheckpoint: the weights cannot be used, or are not those the run was planned with.
        """
        self._device = pick_device(self.config)
        self.limit_threads()
        network = load_network(self.config.checkpoint)
        found = checkpoint.fingerprint(network)
        if found != self.config.checkpoint_fingerprint:
            raise InvalidCheckpoint(
                f"{self.config.checkpoint} has the fingerprint {found} here and {self.config.checkpoint_fingerprint} "
                "where the run was started: give every node the same file"
            )
        self._network = network.to(self._device)

    def limit_threads(self) -> None:
        """Give this thread the configured number of torch threads: results depend on it, cores are shared."""
        torch.set_num_threads(self.config.torch_threads)

    def process(self, task: VideoTask, attempt: str, *, smaller_blocks: bool = False) -> VideoOutcome:
        """Segment one video and put its files; `attempt` makes their names unique.

        `smaller_blocks` takes less memory and more time; masks may differ in single pixels, by the order of sums.
        Raises the tree of `pipeline.errors`, always with the video's name.
        """
        if self._network is None:
            raise RuntimeError("call setup() before process()")
        with _named(task):
            return self._process(self._network, task, attempt, smaller_blocks)

    def prepare(self, task: VideoTask) -> None:
        """Open the video that probably comes next while `process`, in another thread, has one; does not wait.

        What goes wrong, `process` says when it comes to that video.
        """
        self._prefetch.begin(task)

    def stop(self) -> None:
        """Let `process`, in another thread, end with `Interrupted` at its next frame; for good."""
        self._stopped.set()

    def _process(self, network: AFBURR, task: VideoTask, attempt: str, smaller_blocks: bool) -> VideoOutcome:
        seconds = _Seconds()
        with self._prefetch.take(task) as source:
            segmenter = self._segmenter(network, source, smaller_blocks)
            store = Store(self.config.output)
            with self._counted(source.reader), VideoWriter(store, task.video_id, attempt) as writer:
                self._segment(source, segmenter, writer, seconds)
                with seconds.spent_on("write"):
                    files = writer.finish()
            row = {**self._video_row(source, seconds), "smaller_blocks": smaller_blocks}
            return VideoOutcome(video_id=task.video_id, files=files, video=row)

    def close(self) -> None:
        """Let go of the network, its memory and what was prepared."""
        self._prefetch.close()
        self._network = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    @contextmanager
    def _counted(self, reader: VideoReader) -> Iterator[None]:
        """Count the frames a video should have while it runs, and those it had once it is over."""
        expected, done_before = reader.frames_expected or 0, self.counts.frames_done
        self.counts += WorkerCounts(frames_begun=expected, videos_begun=1 if expected else 0)
        try:
            yield
        finally:
            done = self.counts.frames_done - done_before
            self.counts += WorkerCounts(frames_begun=done - expected, videos_begun=0 if expected else 1)

    def _segmenter(self, network: AFBURR, source: Source, smaller_blocks: bool) -> VideoSegmenter:
        config = self.config.segmenter
        if smaller_blocks:
            config = replace(config, object_chunk=1, workspace=max(1, config.workspace // _SMALLER))
        segmenter = VideoSegmenter(network, config, object_ids=source.prompts.object_ids)
        try:
            segmenter.check_budget(source.reader.info.height, source.reader.info.width)
        except BudgetTooSmall as error:
            raise InvalidInput(f"video {source.task.video_id!r}: {error}") from error
        return segmenter

    def _segment(self, source: Source, segmenter: VideoSegmenter, writer: VideoWriter, seconds: _Seconds) -> None:
        depth = self.config.queue_frames
        with Behind[tuple[Frame, FrameResult]](lambda row: writer.add(*row), depth) as rows:
            waiting = iter(source.frames)
            while True:
                with seconds.spent_on("decode"):
                    frame = next(waiting, None)
                if frame is None:
                    break
                if self._stopped.is_set():
                    raise Interrupted(f"stopped before frame {frame.index}")
                with seconds.spent_on("network"):
                    result = self._step(source.task, segmenter, frame, source.prompts.get(frame.index))
                with seconds.spent_on("write"):
                    rows.add((frame, result))
                self.counts += WorkerCounts(frames_done=1)
            _check_prompts_seen(source)
            with seconds.spent_on("write"):
                rows.finish()

    def _step(self, task: VideoTask, segmenter: VideoSegmenter, frame: Frame, prompt: Prompt | None) -> FrameResult:
        where = f"video {task.video_id!r}, frame {frame.index}"
        try:
            return segmenter.step(torch.from_numpy(np.ascontiguousarray(frame.rgb.transpose(2, 0, 1))), prompt)
        except ModelOutOfMemory as error:
            raise OutOfMemory(f"{where}: out of memory ({error})", frame.index) from error
        except ModelError as error:
            raise SegmentationFailed(f"{where}: {error}", frame.index) from error

    def _video_row(self, source: Source, seconds: _Seconds) -> dict[str, object]:
        reader, info = source.reader, source.reader.info
        gpu = torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else None
        return {
            "video_id": source.task.video_id,
            "status": _status(reader),
            "frames_expected": reader.frames_expected,
            "frames_decoded": reader.frames_decoded,
            "width": info.width,
            "height": info.height,
            "fps": info.fps,
            "rotation": info.rotation,
            "codec": info.codec,
            "objects": list(source.prompts.object_ids),
            "resumed_from": None,
            "seconds_decode": seconds.decode,
            "seconds_network": seconds.network,
            "seconds_write": seconds.write,
            "seconds_total": time.monotonic() - seconds.began,
            "gpu": gpu,
            "host": platform.node(),
            "checkpoint": self.config.checkpoint_fingerprint,
            "bad_packets": reader.bad_packets,
        }


@contextmanager
def _named(task: VideoTask) -> Iterator[None]:
    """Errors of what knows only URLs get the video's name."""
    try:
        yield
    except PipelineError as error:
        if repr(task.video_id) in str(error):
            raise
        message = f"video {task.video_id!r} (row {task.row}): {error}"
        raise type(error)(message, *error.args[1:]) from error


def pick_device(config: WorkerConfig) -> torch.device:
    """The device of this process.

    `auto` takes the GPU when there is one; a worker for which a GPU was reserved refuses to run without it.
    """
    visible = torch.cuda.is_available()
    if config.device == "cpu" or (config.device == "auto" and not visible and not config.reserved_gpus):
        return torch.device("cpu")
    if not visible:
        raise InvalidInput(
            "a GPU was asked for but torch sees none in this process: check the driver and that torch is a CUDA "
            "build (python -c 'import torch; print(torch.cuda.is_available())'), or run with --device cpu"
        )
    return torch.device("cuda", 0)  # a pool that pins GPUs makes just this worker's visible


def _status(reader: VideoReader) -> str:
    if _is_truncated(reader):
        return "truncated"
    return "damaged" if reader.bad_packets else "complete"


def _is_truncated(reader: VideoReader) -> bool:
    """Headers lie by a frame or two, so a little less than expected is complete."""
    expected = reader.frames_expected
    return expected is not None and reader.frames_decoded < expected - max(2, 0.01 * expected)


def _check_prompts_seen(source: Source) -> None:
    task, reader, prompts = source.task, source.reader, source.prompts
    if not reader.frames_decoded:
        raise InvalidInput(
            f"video {task.video_id!r} (row {task.row}): it has no frame {task.start_frame} ({task.video_uri}): "
            "correct start_frame in the manifest"
        )
    end = task.start_frame + reader.frames_decoded
    beyond = [index for index in prompts if index >= end]
    # Of a truncated video what was decoded is kept, as long as something could be segmented.
    if not beyond or (_is_truncated(reader) and len(beyond) < len(prompts)):
        return
    raise InvalidPrompt(
        f"video {task.video_id!r} (row {task.row}): prompt for frame {min(beyond)}, but the video ends after "
        f"frame {end - 1}: correct frame_index in the manifest, or check the video ({task.video_uri})"
    )
