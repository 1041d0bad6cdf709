"""The prompts of a corpus as stills to learn from: the masks that every corpus has.

Small objects, which would be lost where the whole picture is made smaller, are taken at the scale at which the network
sees them: in crops where they alone are objects.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.pictures.label_maps import LabelMap, renumbered
from jobs.pictures.resize import shrunk
from jobs.training.packed import PackedStill, PackedStills
from jobs.training.stills import SMALLEST_SHARE, Still, is_held_back
from model.result import VOID
from model.segmenter import SegmenterConfig
from pipeline.errors import InvalidInput
from pipeline.input.frames import Rgb
from pipeline.input.manifest import VideoTask, read_manifest
from pipeline.input.masks import ids_in
from pipeline.input.prompts import load_prompts
from pipeline.input.video import open_video

_MOST_LEARNT, _MOST_HELD_BACK = 1_000, 100
"""Prompts that are read of a large corpus: a short training draws few more."""
_READERS = 8
_FEWEST_PIXELS = 16
"""An object with fewer at the network's scale is not learnt from."""
_ROOM = 3.0
"""The least side of a small object's crop, in its extents."""


@dataclass(frozen=True)
class PromptedFrame:
    """A frame of a video that has a prompt."""

    task: VideoTask
    index: int

    @property
    def name(self) -> str:
        """The same in every manifest that has it."""
        return f"{self.task.video_id}, frame {self.index}"


class Split(NamedTuple):
    """What is learnt from, and what decides whether that helped."""

    learnt: list[PromptedFrame]
    held_back: list[PromptedFrame]


def split(manifest: str) -> Split:
    """The prompted frames of a manifest: every tenth, by a hash of its name, is held back; of two or more at least one.

    Of a large corpus so many as are worth reading, by their hashes. A single one is in both parts, as there is no
    other. Frames with boxes are left out: what is made of them is a guess, and nothing to learn from. Raises as
    `read_manifest`, and InvalidInput where no other frame is left.
    """
    frames = [PromptedFrame(task, index) for task in read_manifest(manifest) for index in _exact_frames(task)]
    if not frames:
        raise InvalidInput(f"{manifest}: all its prompts are boxes: give masks, rle or polygons to learn from")
    frames.sort(key=lambda frame: hashlib.sha256(frame.name.encode()).hexdigest())
    if len(frames) == 1:
        return Split(frames, frames)
    held_back = [frame for frame in frames if is_held_back(frame.name)]
    learnt = [frame for frame in frames if not is_held_back(frame.name)]
    for some, none in ((learnt, held_back), (held_back, learnt)):
        if not none:
            none.append(some.pop())
    return Split(learnt[:_MOST_LEARNT], held_back[:_MOST_HELD_BACK])


def _exact_frames(task: VideoTask) -> list[int]:
    guessed = {prompt.frame_index for prompt in task.prompts if prompt.has_boxes}
    return sorted({prompt.frame_index for prompt in task.prompts} - guessed)


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """What was read of some prompted frames."""

    whole: PackedStills
    """Pictures with objects that are large enough to be seen in them."""
    crops: PackedStills
    """Parts of pictures with small objects."""
    number: int
    """Of the prompted frames that could be read."""
    videos: int
    objects: int
    """Of all these frames, whatever their size."""
    faults: tuple[str, ...]
    """Why others could not be read."""

    @property
    def cutouts(self) -> PackedStills:
        """Where objects to paste come from: small ones only where there are no others."""
        return self.whole if len(self.whole) else self.crops

    @property
    def counts(self) -> str:
        """For messages and cards."""
        return f"{self.number:,} prompted frames of {self.videos:,} videos with {self.objects:,} objects"


def read_prompts(frames: Sequence[PromptedFrame], *, side: int, binary_masks: bool = False) -> Prompts:
    """Stills for crops of `side` pixels. Frames whose video or mask is at fault are left out and named.

    Raises InvalidInput where none is left that shows an object, StoreUnavailable.
    """
    in_order = sorted(frames, key=lambda frame: (frame.task.video_id, frame.index))
    videos = [list(group) for _, group in groupby(in_order, key=lambda frame: frame.task.video_id)]
    with ThreadPoolExecutor(_READERS) as readers:
        read = list(readers.map(partial(_read_video, side=side, binary_masks=binary_masks), videos))
    found = [frame for video in read for frame in video.frames]
    faults = tuple(video.fault for video in read if video.fault)
    if not any(frame.whole or frame.crops for frame in found):
        why = faults[0] if faults else f"no object has {_FEWEST_PIXELS} pixels"
        raise InvalidInput(f"none of {len(frames)} prompted frames can be used: {why}")
    return Prompts(
        whole=PackedStills([still for frame in found for still in frame.whole]),
        crops=PackedStills([still for frame in found for still in frame.crops]),
        number=len(found),
        videos=sum(bool(video.frames) for video in read),
        objects=sum(frame.objects for frame in found),
        faults=faults,
    )


class _Read(NamedTuple):
    whole: list[PackedStill]
    crops: list[PackedStill]
    objects: int


class _ReadVideo(NamedTuple):
    frames: list[_Read]
    fault: str


def _read_video(frames: Sequence[PromptedFrame], *, side: int, binary_masks: bool) -> _ReadVideo:
    """Some frames of one video, ascending."""
    task, found = frames[0].task, []
    try:
        for name, picture, labels in _decoded(task, [frame.index for frame in frames], binary_masks):
            found.append(_stills(f"{task.video_id}, frame {name}", picture, labels, side))
    except InvalidInput as error:
        return _ReadVideo(found, f"{task.name}: {error}")
    missing = f"{task.name}: ends before frame {frames[len(found)].index}" if len(found) < len(frames) else ""
    return _ReadVideo(found, missing)


def _decoded(task: VideoTask, wanted: Sequence[int], binary_masks: bool) -> Iterator[tuple[int, Rgb, LabelMap]]:
    with open_video(task.video_uri, start_frame=wanted[0], end_frame=wanted[-1] + 1) as video:
        prompts = load_prompts(task, video.info.height, video.info.width, binary_masks=binary_masks)
        for frame in video:
            if frame.index in wanted:
                labels = prompts[frame.index].labels
                yield frame.index, frame.rgb, renumbered(labels, _numbers(ids_in(labels)))


def _numbers(object_ids: Iterable[int]) -> dict[int, int]:
    """Those that do not fit into a byte have none."""
    return {object_id: number for number, object_id in enumerate(object_ids, 1) if number < VOID}


def _stills(name: str, picture: Rgb, labels: LabelMap, side: int) -> _Read:
    """The picture as a whole, and crops of what is small in it."""
    scale = SegmenterConfig().max_side / max(labels.shape)
    shorter = round(scale * min(labels.shape))
    picture, labels = shrunk(picture, shorter), shrunk(labels, shorter, labels=True)
    whole = Still(name=name, picture=shrunk(picture, 2 * side), labels=shrunk(labels, 2 * side, labels=True))
    return _Read(
        [PackedStill.of(whole)] if whole.object_ids() else [],
        [PackedStill.of(crop) for crop in _crops(name, picture, labels, side)],
        len(ids_in(labels.astype(np.int32))),
    )


def _crops(name: str, picture: Rgb, labels: LabelMap, side: int) -> Iterator[Still]:
    """Every small object in at least one; in each, what is large is background."""
    areas = np.bincount(labels.ravel(), minlength=VOID + 1)
    small = [i for i in range(1, VOID) if _FEWEST_PIXELS <= areas[i] < SMALLEST_SHARE * labels.size]
    shown = np.where(np.isin(labels, (*small, VOID)), labels, 0).astype(np.uint8)
    covered: list[tuple[slice, slice]] = []
    for object_id in small:
        ys, xs = np.nonzero(shown == object_id)
        if any(_lies_in(ys, rows) and _lies_in(xs, columns) for rows, columns in covered):
            continue
        size = max(side, round(_ROOM * (max(np.ptp(ys), np.ptp(xs)) + 1)))
        box = (_around(ys, size, labels.shape[0]), _around(xs, size, labels.shape[1]))
        covered.append(box)
        yield Still(
            name=name,
            picture=shrunk(picture[box], 2 * side),
            labels=shrunk(shown[box], 2 * side, labels=True),
            smallest_share=_FEWEST_PIXELS / shown[box].size,
        )


def _lies_in(values: NDArray[np.intp], span: slice) -> bool:
    return bool(span.start <= values.min() and values.max() < span.stop)


def _around(values: NDArray[np.intp], size: int, limit: int) -> slice:
    """A span of `size` with the values in its middle, within 0..limit."""
    start = min(max(0, (int(values.min()) + int(values.max()) - size) // 2), max(0, limit - size))
    return slice(start, min(limit, start + size))
