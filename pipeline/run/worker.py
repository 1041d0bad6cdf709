"""One worker: a plain class that segments whole videos. A pool gives it a process, a GPU and its next video."""

import errno
import platform
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import torch

from model import checkpoint
from model.capture import CudaGraphs
from model.errors import BudgetTooSmall, translate_out_of_memory
from model.network import AFBURR
from model.result import FrameResult
from model.runtime import keep_memory
from model.segmenter import VideoSegmenter
from model.transfer import Upload, Uploaded
from pipeline.errors import (
    Interrupted,
    InvalidCheckpoint,
    InvalidInput,
    InvalidPrompt,
    PipelineError,
    WorkerUnfit,
)
from pipeline.input.box_masks import Improve, improved_by
from pipeline.input.frames import Frame
from pipeline.input.manifest import VideoTask
from pipeline.input.video import VideoReader, open_video
from pipeline.input.weights import load_network
from pipeline.output.schema import NEEDS_PROMPT
from pipeline.output.writer import VideoWriter
from pipeline.overlap import Ahead, Behind
from pipeline.run.attempt import Attempt, VideoOutcome
from pipeline.run.both_ways import Nearest, WayBack
from pipeline.run.config import WorkerConfig
from pipeline.run.device import pick_device
from pipeline.run.ending import Ending
from pipeline.run.frame_named import frame_named
from pipeline.run.prefetch import OpenVideo, Prefetch
from pipeline.run.progress import WorkerCounts
from pipeline.run.watch import Watch
from pipeline.storage.store import Store

_FULL = (errno.ENOSPC, errno.EDQUOT)
_BROUGHT = 2
"""Frames that wait on a GPU."""
_SMALLER = 8
"""How much less workspace an attempt gets after one ran out of memory."""


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


@dataclass
class _Seen:
    """What of a video has been segmented."""

    frames: int = 0
    bad_packets: int = 0
    """In these frames; behind the last one there may be more."""
    needs_prompt_frame: int | None = None
    """Where a prompt is needed, if that ended it early."""

    def add(self, frame: Frame) -> None:
        self.frames += 1
        self.bad_packets += frame.bad_packets


class VideoWorker:
    """`setup` once, `process` per video, `close` at the end."""

    def __init__(self, config: WorkerConfig, *, make_segmenter: type[VideoSegmenter] = VideoSegmenter) -> None:
        """`make_segmenter`: another one measures what is around it."""
        self.config = config
        self._make_segmenter = make_segmenter
        self.counts = WorkerCounts()
        """How far this worker is; other threads may read it."""
        self._device = torch.device("cpu")
        self._network: AFBURR | None = None
        self._improve: Improve | None = None
        """Of masks of boxes."""
        self._stopped = threading.Event()
        self._watch = Watch(config.patience)
        self._prefetch = Prefetch(
            binary_masks=config.binary_masks,
            queue_frames=config.queue_frames,
            max_pixels=config.max_pixels,
            box_masks=config.box_masks,
        )

    def setup(self) -> None:
        """Take the device and load the weights.

        Raises:
            InvalidInput: a GPU was asked for but none is visible.
            InvalidCheckpoint: the weights cannot be used, or are not those the run was planned with.
        """
        self._device = pick_device(self.config.device, reserved_gpus=self.config.reserved_gpus)
        keep_memory()
        self.limit_threads()
        network = load_network(self.config.checkpoint)
        found = checkpoint.fingerprint(network)
        if found != self.config.checkpoint_fingerprint:
            raise InvalidCheckpoint(
                f"{self.config.checkpoint} has the fingerprint {found} here and {self.config.checkpoint_fingerprint} "
                "where the run was started: give every node the same file"
            )
        self._network = network.to(self._device)
        self._improve = improved_by(self._network)

    def limit_threads(self) -> None:
        """Give this thread the configured number of torch threads: results depend on it, cores are shared."""
        torch.set_num_threads(self.config.torch_threads)

    def process(self, attempt: Attempt) -> VideoOutcome:
        """Segment one video and put its files.

        In smaller blocks it takes less memory and more time; masks may differ in single pixels, by the order of sums.
        Raises the tree of `pipeline.errors`, always with the video's name.
        """
        if self._network is None:
            raise RuntimeError("call setup() before process()")
        self._watch.opening(attempt.task.start_frame)
        try:
            with _machine_named():
                return self._process(self._network, attempt)
        except PipelineError as error:  # of what knows only files and frames
            raise error.about(attempt.task.name) from error
        finally:
            self._watch.rest()

    def overdue(self) -> str | None:
        """Of the attempt that `process`, in another thread, has in hand: what has been waited for too long."""
        return self._watch.overdue()

    def prepare(self, task: VideoTask) -> None:
        """Open the video that probably comes next while `process`, in another thread, has one; does not wait.

        What goes wrong, `process` says when it comes to that video.
        """
        self._prefetch.begin(task)

    def stop(self) -> None:
        """Let `process`, in another thread, end with `Interrupted` at its next frame; for good."""
        self._stopped.set()

    def _process(self, network: AFBURR, attempt: Attempt) -> VideoOutcome:
        seconds, video_id = _Seconds(), attempt.task.video_id
        with self._prefetch.take(attempt.task) as video:
            store, nearest = Store(self.config.output), self._nearest(video)
            with (
                self._counted(video.reader, len(nearest) if nearest else 0),
                VideoWriter(store, video_id, attempt.name) as writer,
                WayBack(nearest) if nearest else nullcontext() as behind,
            ):
                if nearest and behind:
                    self._go_back(
                        video, self._segmenter(network, video, attempt.smaller_blocks), nearest, behind, seconds
                    )
                segmenter = self._segmenter(network, video, attempt.smaller_blocks)
                seen = self._segment(video, segmenter, writer, seconds, behind)
                with seconds.spent_on("write"):
                    files = writer.finish()
            row = {**self._video_row(video, seen, seconds), "smaller_blocks": attempt.smaller_blocks}
            return VideoOutcome(video_id=video_id, files=files, video=row)

    def close(self) -> None:
        """Let go of the network, its memory and what was prepared."""
        self._prefetch.close()
        self._network = self._improve = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    @contextmanager
    def _counted(self, reader: VideoReader, more: int) -> Iterator[None]:
        """Count the frames a video should have, and `more`, while it runs, and those it had once it is over."""
        expected, done_before = reader.frames_expected or 0, self.counts.frames_done
        expected += more if expected else 0
        self.counts += WorkerCounts(frames_begun=expected, videos_begun=1 if expected else 0)
        try:
            yield
        finally:
            done = self.counts.frames_done - done_before
            self.counts += WorkerCounts(frames_begun=done - expected, videos_begun=0 if expected else 1)

    def _segmenter(self, network: AFBURR, video: OpenVideo, smaller_blocks: bool) -> VideoSegmenter:
        config = self.config.segmenter
        if smaller_blocks:
            config = replace(config, object_chunk=1, workspace=max(1, config.workspace // _SMALLER))
        make: Callable[..., VideoSegmenter] = self._make_segmenter
        if self.config.capture and self._device.type == "cuda" and not smaller_blocks:
            make = partial(make, record=CudaGraphs())
        segmenter = make(network, config, object_ids=video.prompts.object_ids)
        try:
            segmenter.check_budget(video.reader.info.height, video.reader.info.width)
        except BudgetTooSmall as error:
            raise InvalidInput(str(error)) from error
        return segmenter

    def _nearest(self, video: OpenVideo) -> Nearest | None:
        """Where prompts count from behind; None: nowhere, or it is not wanted."""
        if not self.config.both_ways:
            return None
        return Nearest(video.prompts.by_object(), video.task.start_frame) or None

    def _go_back(
        self, video: OpenVideo, segmenter: VideoSegmenter, nearest: Nearest, behind: WayBack, seconds: _Seconds
    ) -> None:
        """From the last prompt to the first frame that has anything from behind."""
        task, depth = video.task, self.config.queue_frames
        self._watch.opening(nearest.last)
        with (
            open_video(
                task.video_uri,
                start_frame=nearest.first,
                end_frame=nearest.last + 1,
                max_pixels=self.config.max_pixels,
                backwards=True,
            ) as reader,
            Ahead[Frame](reader, depth, Frame.num_bytes) as frames,
            self._brought(frames) as brought,
        ):
            for frame, uploaded in self._frames(brought, seconds):
                self._watch.opening(frame.index)  # what lies before may have to be decoded for the next one
                if not nearest.needs(frame.index):
                    continue
                with seconds.spent_on("network"), frame_named(frame):
                    prompt = video.prompts.on(frame.index, frame.rgb, self._improve)
                    result = segmenter.step(uploaded.arrived(), prompt)
                with seconds.spent_on("write"):
                    behind.add(frame.index, result)
                self.counts += WorkerCounts(frames_done=1)
        self._watch.opening(task.start_frame)

    def _segment(
        self,
        video: OpenVideo,
        segmenter: VideoSegmenter,
        writer: VideoWriter,
        seconds: _Seconds,
        behind: WayBack | None,
    ) -> _Seen:
        depth, seen = self.config.queue_frames, _Seen()
        ending, before = Ending(self.config.ending, last_prompt=max(video.prompts)), None
        with (
            self._brought(video.frames) as brought,
            Behind[_Row](lambda row: row.write(writer, behind), depth, _Row.num_bytes) as rows,
        ):
            for frame, uploaded in self._frames(brought, seconds):
                with seconds.spent_on("network"), frame_named(frame):
                    prompt = video.prompts.on(frame.index, frame.rgb, self._improve)
                    segmenter.submit(uploaded.arrived(), prompt)
                with seconds.spent_on("write"):  # while a GPU works on this frame
                    _hand_over(rows, before)
                with seconds.spent_on("network"), frame_named(frame):
                    result = segmenter.collect()
                before = _Row(frame, result, prompt.approximations() if prompt else {})
                seen.add(frame)
                seen.needs_prompt_frame = ending.at(frame.index, result)
                self.counts += WorkerCounts(frames_done=1)
                self._watch.frame()
                if seen.needs_prompt_frame is not None:
                    break
            self._watch.rest()
            _check_prompts_seen(video)
            with seconds.spent_on("write"):
                _hand_over(rows, before)
                rows.finish()
        return seen

    @contextmanager
    def _brought(
        self, source: Iterable[Frame], *, ahead: bool | None = None
    ) -> Iterator[Iterator[tuple[Frame, Uploaded]]]:
        """The frames, each on its way to the device; `ahead`: some in a thread of its own; None: to a GPU."""
        upload = Upload(self._device)
        frames = ((frame, _bring(frame, upload)) for frame in source)
        if not (self._device.type != "cpu" if ahead is None else ahead):
            yield frames
            return
        with Ahead(frames, _BROUGHT) as brought:
            yield iter(brought)

    def _frames(self, brought: Iterator[tuple[Frame, Uploaded]], seconds: _Seconds) -> Iterator[tuple[Frame, Uploaded]]:
        """Raises Interrupted before the first one after `stop`."""
        while True:
            with seconds.spent_on("decode"):
                found = next(brought, None)
            if found is None:
                return
            if self._stopped.is_set():
                raise Interrupted(f"stopped before frame {found[0].index}")
            yield found

    def _video_row(self, video: OpenVideo, seen: _Seen, seconds: _Seconds) -> dict[str, object]:
        reader, info = video.reader, video.reader.info
        gpu = torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else None
        return {
            "video_id": video.task.video_id,
            "status": _status(reader, seen),
            "needs_prompt_frame": seen.needs_prompt_frame,
            "frames_expected": reader.frames_expected,
            "frames_decoded": seen.frames,
            "width": info.width,
            "height": info.height,
            "fps": info.fps,
            "rotation": info.rotation,
            "codec": info.codec,
            "objects": list(video.prompts.object_ids),
            "resumed_from": None,
            "seconds_decode": seconds.decode,
            "seconds_network": seconds.network,
            "seconds_write": seconds.write,
            "seconds_total": time.monotonic() - seconds.began,
            "gpu": gpu,
            "host": platform.node(),
            "checkpoint": self.config.checkpoint_fingerprint,
            "bad_packets": _bad_packets(reader, seen),
        }


class _Row(NamedTuple):
    """What is written of a frame."""

    frame: Frame
    result: FrameResult
    approximate: dict[int, bool]
    """By prompted object whether its mask follows a box."""

    def write(self, writer: VideoWriter, behind: WayBack | None) -> None:
        """Into the tables, with what comes from behind."""
        result, backward = behind.merged(self.frame.index, self.result) if behind else (self.result, ())
        writer.add(self.frame, result, approximate=self.approximate, backward=backward)

    def num_bytes(self) -> int:
        """That it takes in memory."""
        return self.frame.num_bytes() + self.result.labels.nbytes


@contextmanager
def _machine_named() -> Iterator[None]:
    """Raises WorkerUnfit for what is the fault of this machine, whatever the video."""
    try:
        yield
    except torch.AcceleratorError as error:  # from here on every call of this process may fail
        raise WorkerUnfit(f"the GPU of {platform.node()} failed: check it (nvidia-smi): {error}") from error
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise WorkerUnfit(f"{platform.node()}: {error}: make room in {tempfile.gettempdir()} or in OUTPUT") from error


def _bring(frame: Frame, upload: Upload) -> Uploaded:
    with frame_named(frame), translate_out_of_memory():
        return upload(torch.from_numpy(frame.rgb).permute(2, 0, 1))


def _hand_over(rows: "Behind[_Row]", row: _Row | None) -> None:
    if row is not None:
        rows.add(row)


def _bad_packets(reader: VideoReader, seen: _Seen) -> int:
    """Of a video that ended early, as far as it was segmented: how far it was decoded by then is chance."""
    return reader.bad_packets if seen.needs_prompt_frame is None else seen.bad_packets


def _status(reader: VideoReader, seen: _Seen) -> str:
    if seen.needs_prompt_frame is not None:
        return NEEDS_PROMPT
    if _is_truncated(reader):
        return "truncated"
    return "damaged" if reader.bad_packets else "complete"


def _is_truncated(reader: VideoReader) -> bool:
    """Headers lie by a frame or two, so a little less than expected is complete."""
    expected = reader.frames_expected
    return expected is not None and reader.frames_decoded < expected - max(2, 0.01 * expected)


def _check_prompts_seen(video: OpenVideo) -> None:
    task, reader, prompts = video.task, video.reader, video.prompts
    if not reader.frames_decoded:
        raise InvalidInput(
            f"it has no frame {task.start_frame} ({task.video_uri}): correct start_frame in the manifest"
        )
    end = task.start_frame + reader.frames_decoded
    beyond = [index for index in prompts if index >= end]
    # Of a truncated video what was decoded is kept, as long as something could be segmented.
    if not beyond or (_is_truncated(reader) and len(beyond) < len(prompts)):
        return
    raise InvalidPrompt(
        f"prompt for frame {min(beyond)}, but the video ends after frame {end - 1}: correct frame_index in the "
        f"manifest, or check the video ({task.video_uri})"
    )
