"""One video as a format sees it: frames in order, each with the objects that have a pixel in it.

In memory is a batch of rows, however long the video is.

Legend: H, W native frame size.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.exports.losses import Loss, Tally
from pipeline.input.manifest import VideoTask
from pipeline.output import rle
from pipeline.output.labels import CommittedVideo

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels."""

_FRAME_COLUMNS = ["frame_index", "frame_name", "timestamp_us"]
_MASK_COLUMNS = ["frame_index", "object_id", "height", "width", "rle", "area", "score", "uncertainty"]
_BOX_COLUMNS = ["bbox_x", "bbox_y", "bbox_w", "bbox_h"]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which frames and object-frames are exported."""

    every: int = 1
    """Every n-th frame of a video, from its first one."""
    min_score: float | None = None
    max_uncertainty: float | None = None

    def takes_frames(self, places: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the frames are exported that have so many before them."""
        return np.equal(places % self.every, 0)

    def takes(self, score: float | None, uncertainty: float | None) -> bool:
        """Whether an object-frame is exported; what was given and not predicted has neither value and is."""
        if self.min_score is not None and score is not None and score < self.min_score:
            return False
        return self.max_uncertainty is None or uncertainty is None or uncertainty <= self.max_uncertainty


@dataclass(frozen=True, kw_only=True)
class ObjectFrame:
    """One object in one frame, with at least one pixel."""

    object_id: int
    rle: str
    """COCO compressed counts."""
    size: tuple[int, int]
    """H, W."""
    area: int
    box: Box
    score: float | None
    uncertainty: float | None

    def mask(self) -> NDArray[np.bool_]:
        """Its pixels [H, W]."""
        return rle.decode(self.rle, *self.size)


@dataclass(frozen=True, kw_only=True)
class ExportedFrame:
    """One exported frame."""

    index: int
    """In the source."""
    place: int
    """Among the exported frames of its video, from 0."""
    picture: str
    """File name: the source's own in a folder of pictures, else one made of `index`."""
    timestamp_us: int | None
    objects: tuple[ObjectFrame, ...]
    """Those with a pixel, by id."""

    @property
    def stem(self) -> str:
        """`picture` without its suffix."""
        return self.picture.rpartition(".")[0]


@dataclass(frozen=True, kw_only=True)
class ExportedVideo:
    """One video: what is committed of it, and the names and numbers that it has in this export."""

    found: CommittedVideo
    name: str
    """Of its folder or files."""
    number: int
    """Among the exported videos, from 1."""
    object_ids: tuple[int, ...]
    """Of all objects prompted, ascending."""
    fps: float | None
    frames_before: int
    """Frames of the videos before it; so no two frames of an export have the same number."""
    objects_before: int
    object_frames_before: int
    """At most so many object-frames do the videos before it have."""
    selection: Selection
    classes: Mapping[int, str]
    """Class names by object id, where they are known and asked for."""
    categories: Mapping[str, int]
    """Category ids by class name."""
    task: VideoTask | None = None
    """Its row of the manifest, where one is given."""

    @property
    def video_id(self) -> str:
        """The manifest's."""
        return self.found.video_id

    @property
    def size(self) -> tuple[int, int]:
        """H, W."""
        return self.found.size

    def class_of(self, object_id: int) -> str:
        """The class name of an object."""
        return self.classes.get(object_id, UNCLASSED)

    def category_of(self, object_id: int) -> int:
        """The category id of an object."""
        return self.categories[self.class_of(object_id)]

    def image_id(self, frame: ExportedFrame) -> int:
        """A number that no other frame of the export has, from 1."""
        return self.frames_before + frame.place + 1

    def annotation_id(self, frame: ExportedFrame, object_id: int) -> int:
        """A number that no other object-frame of the export has, from 1; some are left out."""
        within = frame.place * len(self.object_ids) + self.object_ids.index(object_id)
        return self.object_frames_before + within + 1

    def frames(self, tally: Tally) -> Iterator[ExportedFrame]:
        """The selected frames; `tally` counts what is in them, and all that some format might lose."""
        rows = groupby(self.found.rows("masks", _MASK_COLUMNS + _BOX_COLUMNS), key=itemgetter("frame_index"))
        index, found = next(rows, (None, iter(())))
        for place, frame in enumerate(self.found.rows("frames", _FRAME_COLUMNS)):
            while index is not None and index < frame["frame_index"]:
                index, found = next(rows, (None, iter(())))
            if place % self.selection.every == 0:
                objects = found if index == frame["frame_index"] else iter(())
                yield self._frame(place // self.selection.every, frame, objects, tally)

    def _frame(
        self, place: int, row: Mapping[str, Any], objects: Iterator[Mapping[str, Any]], tally: Tally
    ) -> ExportedFrame:
        tally.frames += 1
        tally.lost[Loss.TIME] += row["timestamp_us"] is not None
        return ExportedFrame(
            index=row["frame_index"],
            place=place,
            picture=row["frame_name"] or f"{row['frame_index']:05d}.jpg",
            timestamp_us=row["timestamp_us"],
            objects=tuple(_object(mask) for mask in objects if self._takes(mask, tally)),
        )

    def _takes(self, mask: Mapping[str, Any], tally: Tally) -> bool:
        shown = bool(mask["area"])
        if not self.selection.takes(mask["score"], mask["uncertainty"]):
            tally.left_out += shown
            return False
        tally.object_frames += shown
        tally.lost[Loss.ABSENT] += not shown
        tally.lost[Loss.IDENTITY] += shown
        tally.lost[Loss.SCORE] += mask["score"] is not None
        tally.lost[Loss.UNCERTAINTY] += mask["uncertainty"] is not None
        return shown


UNCLASSED = "object"
"""The class of objects whose class nobody named."""


def _object(row: Mapping[str, Any]) -> ObjectFrame:
    x, y, w, h = (row[name] for name in _BOX_COLUMNS)
    return ObjectFrame(
        object_id=row["object_id"],
        rle=row["rle"],
        size=(row["height"], row["width"]),
        area=row["area"],
        box=(x, y, w, h),
        score=row["score"],
        uncertainty=row["uncertainty"],
    )
