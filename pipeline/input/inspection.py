"""Looking at what a manifest's row names before a run does: its video and its prompts."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from pipeline.errors import PipelineError
from pipeline.input.fields import Fault
from pipeline.input.frames import MAX_PIXELS, VideoInfo
from pipeline.input.manifest import PromptSource, VideoTask
from pipeline.input.prompts import load_prompts
from pipeline.input.video import open_video


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What was found."""

    task: VideoTask
    """With `num_frames`, `height` and `width` as the video has them."""
    faults: tuple[Fault, ...]
    """Everything for which a run would refuse the video, as far as it shows without decoding all of it."""
    notes: tuple[Fault, ...] = ()
    """What a run takes as it is, and may not have been meant."""


def inspect(task: VideoTask, *, binary_masks: bool = False, max_pixels: int = MAX_PIXELS) -> Inspection:
    """Open the video, decode its first frame, and open every mask."""
    try:
        with open_video(
            task.video_uri, start_frame=task.start_frame, end_frame=task.end_frame, max_pixels=max_pixels
        ) as reader:
            info = reader.info
    except PipelineError as error:
        return Inspection(task=task, faults=(_fault(task, str(error)),))
    found = replace(task, num_frames=info.num_frames or task.num_frames, height=info.height, width=info.width)
    faults = [] if info.num_frames is None else list(_beyond(task, info.num_frames))
    notes: list[Fault] = []
    for _, group in groupby(task.prompts, key=lambda prompt: prompt.frame_index):
        prompts = tuple(group)
        alone = [fault for prompt in prompts for fault in _unusable(task, (prompt,), info, binary_masks, [])]
        # Several masks of a frame may be right one by one and still contradict each other.
        faults += alone or _unusable(task, prompts, info, binary_masks, notes)
    return Inspection(task=found, faults=tuple(faults), notes=tuple(notes))


def _beyond(task: VideoTask, num_frames: int) -> Iterator[Fault]:
    for prompt in task.prompts:
        if prompt.frame_index >= num_frames:
            yield _fault(
                task,
                f"prompt for frame {prompt.frame_index}, but the video ({task.video_uri}) has {num_frames} frames by "
                "its header: correct frame_index",
            )


def _unusable(
    task: VideoTask, prompts: tuple[PromptSource, ...], info: VideoInfo, binary_masks: bool, notes: list[Fault]
) -> list[Fault]:
    """What is wrong with prompts of one frame; how they overlap is noted."""
    frame_index = prompts[0].frame_index
    try:
        loaded = load_prompts(replace(task, prompts=prompts), info.height, info.width, binary_masks=binary_masks)
        overlap = loaded[frame_index].overlap
    except PipelineError as error:
        return [_fault(task, str(error))]
    if overlap:
        boxes = any(prompt.has_boxes for prompt in prompts)
        pixels = f"up to {overlap} pixels (boxes are counted whole)" if boxes else f"{overlap} pixels"
        notes.append(_fault(task, f"frame {frame_index}: {pixels} are in several objects; the later object has them"))
    return []


def _fault(task: VideoTask, message: str) -> Fault:
    return Fault(task.row, f"video {task.video_id!r}: {message}")
