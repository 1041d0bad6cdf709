"""Where in a frame the network is unsure: U of each pixel, for frames of a video that is segmented again.

U is not in the tables. So the video is segmented once more by what committed it, up to the last frame that is shown,
and what comes out must be the masks that are committed: a map of other masks would mislead.

Legend: H, W native frame size, h w network size.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from jobs.pictures.encode import encode_indexed_png
from jobs.pictures.resize import shrunk
from jobs.reports.frames import SHORTER_SIDE
from jobs.reviewing.same_run import SameRuns, step
from model.result import Labels
from model.segmenter import VideoSegmenter
from model.uncertainty import ambiguity
from pipeline.errors import PipelineError, StoreUnavailable
from pipeline.input.box_masks import improved_by
from pipeline.input.frames import Frame
from pipeline.input.manifest import VideoTask
from pipeline.input.prompts import load_prompts
from pipeline.input.video import open_video
from pipeline.output import rle
from pipeline.overlap import Ahead
from pipeline.run.device import Device
from pipeline.run.frame_named import frame_named
from pipeline.storage.store import Store

LEVELS = 32
"""Steps of U in a map, from 0 to 1."""
_FRAMES_AHEAD = 8
MOST_DIFFERENT = 1e-3
"""Share of a frame's pixels that may have come out differently: other machines round differently."""
_DARKEST = 0.25
"""Where the colour ramp begins: what is darker would not be seen before a dark picture."""
_OPAQUE_FROM = 0.3
"""U from which on a map hides the picture as much as it ever does."""
_OPACITY = 0.85


@dataclass(frozen=True, kw_only=True)
class HeatMap:
    """U of one frame."""

    frame_index: int
    u_hw: NDArray[np.float32]
    """In [0, 1]; 1 where two are equally probable."""
    different: float
    """Share of its pixels whose label is not the committed one."""

    @property
    def valid(self) -> bool:
        """Whether it is of the committed masks."""
        return self.different <= MOST_DIFFERENT


def heat_maps(
    runs: SameRuns,
    task: VideoTask,
    size: tuple[int, int],
    masks: Mapping[int, Mapping[int, str]],
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[HeatMap]:
    """Of a committed video's frames with `masks` (run lengths by frame and object, not empty), while it is segmented.

    `size`: H and W of its masks. A frame before which nothing was prompted has none. Raises KeyboardInterrupt where
    `stop` asks for it, InvalidInput, InvalidOutput, InvalidCheckpoint, InvalidPrompt, SegmentationFailed,
    UnreadableVideo, StoreUnavailable.
    """
    config, network = runs.of(task.video_id)
    prompts = load_prompts(task, *size, binary_masks=config.binary_masks, box_masks=config.box_masks)
    segmenter, improve = VideoSegmenter(network, config.segmenter, object_ids=prompts.object_ids), improved_by(network)
    with (
        open_video(
            task.video_uri, start_frame=task.start_frame, end_frame=max(masks) + 1, max_pixels=config.max_pixels
        ) as reader,
        Ahead[Frame](reader, _FRAMES_AHEAD, Frame.num_bytes) as frames,
    ):
        for frame in frames:
            if stop():
                raise KeyboardInterrupt
            wanted = frame.index in masks
            with frame_named(frame):
                prompt = prompts.on(frame.index, frame.rgb, improve)
            found = step(segmenter, frame, prompt, keep_probabilities=wanted)
            if wanted and found.probabilities is not None:
                yield HeatMap(
                    frame_index=frame.index,
                    u_hw=ambiguity(torch.from_numpy(found.probabilities), dim=0)[0].numpy(),
                    different=_different(found.labels, masks[frame.index]),
                )


class HeatMaps:
    """Puts the heat maps of a report beside its pictures, one video after the other whoever asks."""

    def __init__(self, output: str, device: Device = "auto", stop: Callable[[], bool] = lambda: False) -> None:
        """`stop` ends a video on its way. Raises InvalidOutput, StoreUnavailable."""
        self._runs = SameRuns(output, device)
        self._stop = stop
        self._lock = threading.Lock()

    def put(
        self, store: Store, safe: str, task: VideoTask, size: tuple[int, int], masks: Mapping[int, Mapping[int, str]]
    ) -> tuple[list[int], str | None]:
        """The frames of `masks` that have a map now, and why others have none; `size`: H and W of the masks.

        Raises StoreUnavailable, KeyboardInterrupt where it was stopped.
        """
        written: list[int] = []
        worst = 0.0
        try:
            with self._lock:
                for one in heat_maps(self._runs, task, size, masks, self._stop) if masks else ():
                    if one.valid:
                        store.put(map_name(safe, one.frame_index), _png(one.u_hw))
                        written.append(one.frame_index)
                    worst = max(worst, one.different)
        except (PipelineError, FileNotFoundError) as error:
            if isinstance(error, StoreUnavailable):
                raise
            return written, f"no heat maps, or not all: {error}"
        if worst <= MOST_DIFFERENT:
            return written, None
        return written, (
            f"no heat maps where the masks came out differently when they were made again (up to {worst:.1%} of a "
            "frame): another machine or version, or frames filled from behind"
        )


def map_name(safe: str, frame_index: int) -> str:
    """Where a frame's heat map lies in the report."""
    return f"frames/{safe}/{frame_index}.heat.png"


def _png(u_hw: NDArray[np.float32]) -> bytes:
    steps = np.asarray(np.round(np.clip(u_hw, 0, 1) * (LEVELS - 1)), np.uint8)
    return encode_indexed_png(shrunk(steps, SHORTER_SIDE, labels=True), ramp())


def _different(labels: Labels, masks: Mapping[int, str]) -> float:
    committed = np.zeros_like(labels)
    for object_id, counts in masks.items():
        committed[rle.decode(counts, *labels.shape)] = object_id
    return float((committed != labels).mean())


def ramp() -> NDArray[np.uint8]:
    """[LEVELS, 4] red, green, blue, opacity, of U from 0 to 1; equal steps look equally far apart."""
    u = np.linspace(0, 1, LEVELS)
    shades = np.round(255 * (_DARKEST + (1 - _DARKEST) * u)).astype(np.uint8)
    colours = cv2.applyColorMap(shades[:, None], cv2.COLORMAP_INFERNO)[:, 0, ::-1]
    opacity = np.round(255 * _OPACITY * np.minimum(1, u / _OPAQUE_FROM)).astype(np.uint8)
    return np.column_stack([colours, opacity]).astype(np.uint8)


def css_ramp() -> Sequence[str]:
    """The same for a legend."""
    return [f"rgb({r} {g} {b} / {a / 255:.2f})" for r, g, b, a in ramp().tolist()]
