"""Frames before a prompt, filled from behind: the way back through a video, and whose masks count where.

    with WayBack(nearest) as way:
        for frame in reversed(video):                          # before the way forwards
            if nearest.needs(frame.index):
                way.add(frame.index, segmenter.step(...))
        merged, backward = way.merged(frame.index, result)     # on the way forwards

At a frame an object's mask comes from its nearest prompt, whichever side that lies on; of two that are as near, from
the earlier one. (Nearest, because a mask is the worse the farther it has come. What a mask is worth could be told by a
model of it, but such models are fitted to finished outputs: `jobs/reviewing`.) Where an object from behind and one from
the front claim a pixel, it goes to the one whose prompt is nearer, and where these are as near to the one from the
front: what a prompt says of its own frame always stands.
"""

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import TracebackType
from typing import Any, Self

import numpy as np

from model.result import BankStatistics, FrameResult, FrameStatistics, Labels, ObjectStatistics
from pipeline.input.manifest import VideoTask
from pipeline.output import rle
from pipeline.scratch import Scratch


def has_way_back(task: VideoTask) -> bool:
    """Whether anything of a video may be filled from behind."""
    return any(prompt.frame_index > task.start_frame for prompt in task.prompts)


def frames_back(task: VideoTask) -> int:
    """Frames that the way back segments, if all prompts are of all objects."""
    prompted = sorted({prompt.frame_index for prompt in task.prompts})
    return len(Nearest({0: prompted}, task.start_frame))


class Nearest:
    """Which prompt of an object is the nearest, and on which frames one from behind is; its length is their number."""

    def __init__(self, prompted: Mapping[int, Sequence[int]], start_frame: int) -> None:
        """`prompted`: by object the frames of its prompts, ascending; `start_frame`: the video's first frame."""
        self._prompted = prompted
        self._behind = {name: list(_from_behind(frames, start_frame)) for name, frames in prompted.items()}
        self._frames = {frame for frames in prompted.values() for frame in frames}
        self.last = max(self._frames)
        """Frame of the last prompt: the way back begins there."""
        self.first = min((r.start for ranges in self._behind.values() for r in ranges if r), default=self.last)
        """The frame that it ends with."""

    def needs(self, frame_index: int) -> bool:
        """Whether the way back has to segment a frame: something comes from behind there, or is prompted."""
        if not self.first <= frame_index <= self.last:
            return False
        return frame_index in self._frames or any(self._is_behind(name, frame_index) for name in self._prompted)

    def __len__(self) -> int:
        if self.first == self.last:
            return 0
        behind = _length(r for ranges in self._behind.values() for r in ranges)
        alone = (f for f in self._frames if f >= self.first and not any(self._is_behind(n, f) for n in self._prompted))
        return behind + sum(1 for _ in alone)

    def from_behind(self, frame_index: int) -> list[int]:
        """Objects whose nearest prompt lies behind a frame, ascending."""
        return sorted(name for name in self._prompted if self._is_behind(name, frame_index))

    def distance(self, object_id: int, frame_index: int) -> int:
        """How many frames away the nearest prompt of an object is."""
        return min(abs(frame - frame_index) for frame in self._prompted[object_id])

    def _is_behind(self, object_id: int, frame_index: int) -> bool:
        following = bisect_left(self._prompted[object_id], frame_index)
        ranges = self._behind[object_id]
        return following < len(ranges) and frame_index in ranges[following]


@dataclass(frozen=True)
class _Behind:
    """What the way back has found in one frame, of the objects that come from behind there."""

    counts: Mapping[int, str]
    """By object its mask, as COCO's run lengths."""
    objects: tuple[ObjectStatistics, ...]
    statistics: FrameStatistics | None
    bank: BankStatistics


class WayBack:
    """What the way back has found, on the local disk: about a kilobyte an object and frame; a context manager.

    In memory are some bytes a frame.
    """

    def __init__(self, nearest: Nearest) -> None:
        """Raises OSError when the disk fails."""
        self._nearest = nearest
        self._scratch = Scratch()
        self._file = (self._scratch.folder / "behind.jsonl").open("w+b")
        self._places: dict[int, int] = {}

    def add(self, frame_index: int, result: FrameResult) -> None:
        """Keep what comes from behind in a frame. Raises OSError when the disk fails."""
        known = {statistics.object_id: statistics for statistics in result.objects}
        ids = [object_id for object_id in self._nearest.from_behind(frame_index) if object_id in known]
        if not ids:
            return
        masks = rle.encode(result.labels, ids)
        found = _Behind(
            counts={object_id: mask.counts for object_id, mask in zip(ids, masks, strict=True)},
            objects=tuple(known[object_id] for object_id in ids),
            statistics=result.statistics,
            bank=result.bank,
        )
        self._places[frame_index] = self._file.tell()
        self._file.write(json.dumps(asdict(found)).encode() + b"\n")

    def merged(self, frame_index: int, forward: FrameResult) -> tuple[FrameResult, tuple[int, ...]]:
        """A frame's result on the way forwards, with the objects that come from behind; and which these are.

        What is said of the whole frame is of the way back where all its objects come from there. `shot_cut` and
        `prompted` are always of the way forwards.
        """
        if frame_index not in self._places:
            return forward, ()
        behind = self._read(frame_index)
        others = tuple(statistics for statistics in forward.objects if statistics.object_id not in behind.counts)
        objects = tuple(sorted((*others, *behind.objects), key=lambda statistics: statistics.object_id))
        labels = self._labels(frame_index, forward.labels, [s.object_id for s in others], behind)
        result = replace(forward, labels=labels, objects=objects)
        if not others:
            result = replace(result, statistics=behind.statistics, bank=behind.bank)
        return result, tuple(behind.counts)

    def _labels(self, frame_index: int, forward: Labels, others: Sequence[int], behind: _Behind) -> Labels:
        labels = np.where(np.isin(forward, others), forward, 0).astype(np.int32)
        away = {object_id: self._nearest.distance(object_id, frame_index) for object_id in (*others, *behind.counts)}
        for object_id, counts in behind.counts.items():
            stronger = [other for other in others if away[other] <= away[object_id]]
            mask = rle.decode(counts, *labels.shape)
            labels[mask & ~np.isin(labels, stronger)] = object_id
        return labels

    def _read(self, frame_index: int) -> _Behind:
        self._file.seek(self._places[frame_index])
        found: dict[str, Any] = json.loads(self._file.readline())
        return _Behind(
            counts={int(object_id): counts for object_id, counts in found["counts"].items()},
            objects=tuple(ObjectStatistics(**values) for values in found["objects"]),
            statistics=FrameStatistics(**found["statistics"]) if found["statistics"] else None,
            bank=BankStatistics(**found["bank"]),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._scratch.remove()


def _from_behind(prompted: Sequence[int], start_frame: int) -> Iterator[range]:
    """The frames before each prompt to which that one is the nearest."""
    before = None
    for frame in prompted:
        yield range(start_frame if before is None else (before + frame) // 2 + 1, frame)
        before = frame


def _length(ranges: Iterable[range]) -> int:
    """How many numbers are in at least one of them."""
    total = end = 0
    for found in sorted((r for r in ranges if r), key=lambda r: r.start):
        total += max(0, found.stop - max(found.start, end))
        end = max(end, found.stop)
    return total
