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
from pipeline.output.commits import Commit, CommitLog
from pipeline.output.layout import commit_path, safe_name
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

    def __init__(self, store: Store, video_id: str, size: tuple[int, int], paths: Mapping[str, str]) -> None:
        """`size`: H and W; `paths`: its files below OUTPUT, by table."""
        self.video_id = video_id
        self.size = size
        self._store = store
        self._paths = paths

    def frames(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Its rows of `frames`, in order."""
        return self._dataset("frames").to_table(columns=columns)

    def masks(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Its rows of `masks`, by frame and object."""
        return self._dataset("masks").to_table(columns=columns)

    def labels(self, frame_indices: Iterable[int]) -> Iterator[FrameLabels]:
        """The label maps of these frames, which ascend; a frame without rows is background.

        In memory is a batch of rows and one label map, however long the video is.
        """
        by_frame = groupby(self._label_rows(), key=itemgetter("frame_index"))
        index, rows = next(by_frame, (None, iter(())))
        for wanted in frame_indices:
            while index is not None and index < wanted:
                index, rows = next(by_frame, (None, iter(())))
            yield _drawn(wanted, rows if index == wanted else (), self.size)

    def _label_rows(self) -> Iterator[dict[str, Any]]:
        batches = self._dataset("masks").to_batches(
            columns=_LABEL_COLUMNS, batch_size=_ROWS_PER_BATCH, batch_readahead=1, fragment_readahead=1
        )
        for batch in batches:
            yield from batch.to_pylist()

    def _dataset(self, table: str) -> ds.Dataset:
        return dataset(self._store, [self._paths[table]], SCHEMAS[table])


def committed_videos(output_url: str) -> dict[str, CommittedVideo]:
    """All committed videos of an output by video_id; each commit is read once.

    Raises InvalidOutput for a folder that is not ours, StoreUnavailable.
    """
    store = Store(output_url)
    check_output(store)
    return {commit.video_id: _of(store, commit) for commit in CommitLog(store).read_all()}


def committed_video(output_url: str, video_id: str) -> CommittedVideo:
    """One of them; no other commit is read.

    Raises InvalidInput for a video that is not committed, InvalidOutput, StoreUnavailable.
    """
    store = Store(output_url)
    check_output(store)
    log, safe = CommitLog(store), safe_name(video_id)
    identity = log.current().get(safe)
    if identity is None:
        raise InvalidInput(f"{store.url} has no committed video {video_id!r}: segment it first")
    return _of(store, log.read(commit_path(safe, identity)))


def _of(store: Store, commit: Commit) -> CommittedVideo:
    size = int(str(commit.video["height"])), int(str(commit.video["width"]))
    return CommittedVideo(store, commit.video_id, size, {name: record.path for name, record in commit.files.items()})


def _drawn(frame_index: int, rows: Iterable[Mapping[str, Any]], size: tuple[int, int]) -> FrameLabels:
    labels = np.zeros(size, np.int32)
    uncertainty = {}
    for row in rows:
        labels[rle.decode(row["rle"], row["height"], row["width"])] = row["object_id"]
        uncertainty[row["object_id"]] = row["uncertainty"]
    return FrameLabels(frame_index=frame_index, labels=labels, uncertainty=uncertainty)
