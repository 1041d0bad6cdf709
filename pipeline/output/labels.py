"""What was found in one video: its rows and label maps, read through its own commit.

    for frame in committed_video(output, "walk").labels(range(8)):
        frame.labels

Legend: H, W native frame size.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from model.result import Labels
from pipeline.errors import InvalidInput
from pipeline.output import rle
from pipeline.output.committed import read_committed
from pipeline.output.marker import check_output
from pipeline.output.schema import SCHEMAS
from pipeline.output.tables import dataset
from pipeline.storage.store import Store

_LABEL_COLUMNS = ["frame_index", "object_id", "height", "width", "rle", "uncertainty"]
_ROWS_PER_BATCH = 1024


@dataclass(frozen=True, kw_only=True)
class FrameLabels:
    """One frame's masks."""

    frame_index: int
    labels: Labels
    """[H, W]: 0 background, else an object id."""
    uncertainty: Mapping[int, float | None]
    """By object that was prompted so far; None: there was no prediction."""


class CommittedVideo:
    """The result of one video; what is superseded meanwhile can still be read for a while."""

    def __init__(
        self, store: Store, video_id: str, size: tuple[int, int], paths: Mapping[str, str], identity: str = ""
    ) -> None:
        """`size`: H and W; `paths`: its files below OUTPUT, by table; `identity`: of its commit."""
        self.video_id = video_id
        self.identity = identity
        self.size = size
        self._store = store
        self.paths = paths

    def frames(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Its rows of `frames`, in order."""
        return self._dataset("frames").to_table(columns=columns)

    def masks(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Its rows of `masks`, by frame and object."""
        return self._dataset("masks").to_table(columns=columns)

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Its rows of `masks` or `frames`, one by one in their order; in memory is a batch of them.

        Raises FileNotFoundError when they were replaced and removed meanwhile.
        """
        for batch in self.batches(table, columns=columns, rows=_ROWS_PER_BATCH):
            yield from batch.to_pylist()

    def batches(self, table: str, *, columns: Sequence[str] | None = None, rows: int) -> Iterator[pa.RecordBatch]:
        """The same as batches of at most so many `rows`. Raises as `rows`."""
        yield from self._dataset(table).to_batches(
            columns=None if columns is None else list(columns), batch_size=rows, batch_readahead=1, fragment_readahead=1
        )

    def labels(self, frame_indices: Iterable[int]) -> Iterator[FrameLabels]:
        """The label maps of these frames, which ascend; a frame without rows is background.

        In memory is a batch of rows and one label map, however long the video is.
        """
        by_frame = groupby(self.rows("masks", _LABEL_COLUMNS), key=itemgetter("frame_index"))
        index, rows = next(by_frame, (None, iter(())))
        for wanted in frame_indices:
            while index is not None and index < wanted:
                index, rows = next(by_frame, (None, iter(())))
            yield _drawn(wanted, rows if index == wanted else (), self.size)

    def _dataset(self, table: str) -> ds.Dataset:
        return dataset(self._store, [self.paths[table]], SCHEMAS[table])


def committed_videos(output_url: str) -> dict[str, CommittedVideo]:
    """All committed videos of an output by video_id, at few requests however many there are.

    Raises InvalidOutput for a folder that is not ours, StoreUnavailable.
    """
    store = Store(output_url)
    check_output(store)
    committed = read_committed(store)
    columns = (committed.videos[name].to_pylist() for name in ("video_id", "height", "width"))
    sizes = {video_id: (height, width) for video_id, height, width in zip(*columns, strict=True)}
    return {
        found.video_id: CommittedVideo(store, found.video_id, sizes[found.video_id], found.paths, found.file.identity)
        for found in committed.current.values()
    }


def committed_video(output_url: str, video_id: str) -> CommittedVideo:
    """One of them. Raises InvalidInput for a video that is not committed, else as `committed_videos`."""
    videos = committed_videos(output_url)
    if video_id not in videos:
        raise InvalidInput(f"{output_url} has no committed video {video_id!r}: segment it first")
    return videos[video_id]


def _drawn(frame_index: int, rows: Iterable[Mapping[str, Any]], size: tuple[int, int]) -> FrameLabels:
    labels = np.zeros(size, np.int32)
    uncertainty = {}
    for row in rows:
        labels[rle.decode(row["rle"], row["height"], row["width"])] = row["object_id"]
        uncertainty[row["object_id"]] = row["uncertainty"]
    return FrameLabels(frame_index=frame_index, labels=labels, uncertainty=uncertainty)
