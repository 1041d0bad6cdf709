"""The queue: which object-frames a person should look at first, and why.

    for item in review_queue(output, model, Budget.of("5%")):
        item.video_id, item.frame_index, item.object_id, item.reasons

One video is in memory at a time, and the items that are the best so far.
"""

import math
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import merge, nsmallest
from itertools import islice
from operator import attrgetter

import numpy as np
import pyarrow as pa

from jobs.reviewing.expected import expected
from jobs.reviewing.mending import Mendable, Mending, Pick
from jobs.reviewing.quality import QualityModel
from jobs.reviewing.reasons import COLUMNS, reasons
from pipeline.errors import InvalidInput
from pipeline.output import tables
from pipeline.output.labels import CommittedVideo, committed_videos

LEAST_GAIN = 0.05
"""Object-frames' J: what would mend less is not asked about, whatever the budget."""
_SHARE = re.compile(r"(\d+(?:\.\d*)?)\s*%")


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How much is asked about."""

    items: int | None = None
    share: float | None = None
    """Of the object-frames that have no prompt; 0..1."""

    @classmethod
    def of(cls, text: str) -> "Budget":
        """`5%` or a number of items. Raises InvalidInput."""
        if match := _SHARE.fullmatch(text.strip()):
            share = float(match[1]) / 100
            if 0 < share <= 1:
                return cls(share=share)
        elif text.strip().isdecimal() and int(text) > 0:
            return cls(items=int(text))
        raise InvalidInput(f"--budget is {text!r}: give a share of the object-frames, as 5%, or a number of items")

    def most(self, object_frames: int) -> int:
        """Items that may be asked about, of so many object-frames without a prompt."""
        return self.items if self.items is not None else math.ceil((self.share or 0.0) * object_frames)


@dataclass(frozen=True, kw_only=True)
class QueueItem:
    """An object-frame to look at, for the event around it."""

    video_id: str
    frame_index: int
    object_id: int
    first_frame: int
    """Of the event that it stands for; events of one object never share a frame."""
    last_frame: int
    expected_j: float
    expected_gain: float
    """Object-frames' J that a correction here is expected to mend, when those before it in the queue are made."""
    reasons: tuple[str, ...]
    """In words, the plainest first."""

    @property
    def rank(self) -> tuple[float, str, int, int]:
        """What sorts the queue: worst first, and the same whatever the order of the videos."""
        return (-self.expected_gain, self.video_id, self.frame_index, self.object_id)


@dataclass(frozen=True, kw_only=True)
class Asking:
    """What may be asked, and how."""

    per_video: int | None = None
    """Items of a video at most."""
    whole_frames: bool = False
    """All objects of a frame are corrected together: an item is a frame, named by its worst object."""
    mending: Mending = Mending()  # noqa: RUF009 (frozen)
    only: Mapping[str, Collection[int]] | None = None
    """By video the frames that can be asked about; None: all."""


def review_queue(
    output: str,
    model: QualityModel,
    budget: Budget,
    asking: Asking = Asking(),
    *,
    shown: Callable[[Iterable[CommittedVideo], int], Iterable[CommittedVideo]] = lambda videos, _: videos,
    keep: Callable[[CommittedVideo, pa.Table], None] = lambda video, table: None,
) -> list[QueueItem]:
    """The object-frames of an output to look at, worst first.

    `shown` may tell how far it is, `keep` gets every video's table of `expected`. Raises InvalidInput for an output
    without a video, InvalidOutput, StoreUnavailable.
    """
    videos = committed_videos(output)
    if not videos:
        raise InvalidInput(f"{output}: no video is complete in this output: run `vos-batch segment` first")
    ordered = [videos[video_id] for video_id in sorted(videos)]
    found = (_kept(video, model, keep) for video in shown(ordered, len(ordered)))
    # What a share is of stands in the tables; a number is one whatever there is.
    most = sys.maxsize if budget.items is not None else _most_object_frames(output)
    return queue_of(found, budget, asking, most_object_frames=most)


def _kept(video: CommittedVideo, model: QualityModel, keep: Callable[[CommittedVideo, pa.Table], None]) -> pa.Table:
    table = expected(video, model)
    keep(video, table)
    return table


def queue_of(
    found: Iterable[pa.Table],
    budget: Budget,
    asking: Asking = Asking(),
    *,
    most_object_frames: int = sys.maxsize,
) -> list[QueueItem]:
    """The same of tables as `expected` gives them, a video each.

    `most_object_frames`: there are not more; a budget that is a share needs it to forget the worst on the way.
    """
    best = _Best(budget, most_object_frames)
    for table in found:
        best.add(table, asking)
    return best.items()


def _most_object_frames(output: str) -> int:
    rows = tables.open(output, "videos").to_table(columns=["frames_decoded", "objects"]).to_pylist()
    return sum(row["frames_decoded"] * len(row["objects"]) for row in rows)


class _Best:
    """The best items so far, never more than twice as many as the budget allows."""

    def __init__(self, budget: Budget, most_object_frames: int) -> None:
        self._budget = budget
        self._limit = budget.most(most_object_frames)
        self._kept: list[QueueItem] = []
        self._floor = LEAST_GAIN
        self._askable = 0

    def add(self, table: pa.Table, asking: Asking) -> None:
        """Look at a further video."""
        video = _Video(table)
        self._askable += video.askable
        for item in islice(video.items(asking), asking.per_video):
            if item.expected_gain < self._floor:
                break
            self._kept.append(item)
        if len(self._kept) >= 2 * self._limit:
            self._kept = nsmallest(self._limit, self._kept, key=attrgetter("rank"))
            self._floor = max(self._floor, self._kept[-1].expected_gain)

    def items(self) -> list[QueueItem]:
        """Worst first."""
        return nsmallest(self._budget.most(self._askable), self._kept, key=attrgetter("rank"))


class _Video:
    """One video's object-frames: K objects on all T frames that one of them has."""

    def __init__(self, table: pa.Table) -> None:
        self._video_id = table["video_id"][0].as_py() if len(table) else ""
        columns = {name: table[name].to_numpy() for name in (*COLUMNS, "prompted", "object_id")}
        self._frames_T, place_N = np.unique(columns["frame_index"], return_inverse=True)
        self._ids_K, number_N = np.unique(columns["object_id"], return_inverse=True)
        order = np.lexsort((place_N, number_N))
        ends = np.flatnonzero(np.diff(number_N[order])) + 1
        self._rows_K = [{name: values[rows] for name, values in columns.items()} for rows in np.split(order, ends)]
        shape = (len(self._ids_K), len(self._frames_T))
        self._known_KT, self._prompted_KT, self._empty_KT = (np.zeros(shape, np.bool_) for _ in range(3))
        self._loss_KT = np.zeros(shape)
        self._known_KT[number_N, place_N] = True
        self._prompted_KT[number_N, place_N] = columns["prompted"]
        self._empty_KT[number_N, place_N] = columns["area_share"] <= 0
        self._loss_KT[number_N, place_N] = 1.0 - columns["expected_j"]
        self.askable = int(np.count_nonzero(self._known_KT & ~self._prompted_KT))

    def items(self, asking: Asking) -> Iterator[QueueItem]:
        """Worst first, without end but that of what can be mended."""
        numbers = range(len(self._ids_K))
        groups = [list(numbers)] if asking.whole_frames else [[number] for number in numbers]
        return merge(*(self._of(group, asking) for group in groups if group), key=attrgetter("rank"))

    def _of(self, group: list[int], asking: Asking) -> Iterator[QueueItem]:
        mendable = Mendable(
            self._loss_KT[group],
            known_KT=self._known_KT[group],
            prompted_KT=self._prompted_KT[group],
            empty_KT=self._empty_KT[group],
            mending=asking.mending,
        )
        if asking.only is not None:
            mendable.close(~np.isin(self._frames_T, list(asking.only.get(self._video_id, ()))))
        for pick in mendable.picks():
            yield self._item(group[pick.worst], pick)

    def _item(self, number: int, pick: Pick) -> QueueItem:
        rows = self._rows_K[number]
        place = int(np.searchsorted(rows["frame_index"], self._frames_T[pick.place]))
        return QueueItem(
            video_id=self._video_id,
            frame_index=int(self._frames_T[pick.place]),
            object_id=int(self._ids_K[number]),
            first_frame=int(self._frames_T[pick.first]),
            last_frame=int(self._frames_T[pick.last]),
            expected_j=float(rows["expected_j"][place]),
            expected_gain=pick.gain,
            reasons=reasons(rows, place),
        )
