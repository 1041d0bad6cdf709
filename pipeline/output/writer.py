"""Rows of one video -> `masks` and `frames` files of one attempt, in bounded memory.

The same rows give the same bytes, whoever writes them: nothing inside depends on run, attempt, host or clock.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Protocol, Self

import pyarrow as pa

from model.result import FrameResult, FrameStatistics, Labels, ObjectStatistics
from pipeline.output import rle
from pipeline.output.commits import FileRecord
from pipeline.output.events import Events
from pipeline.output.layout import ROW_TABLES, rows_path
from pipeline.output.parquet import SORTED_BY, parquet_writer
from pipeline.output.schema import SCHEMAS
from pipeline.scratch import Scratch
from pipeline.storage.store import Store

ROWS_PER_GROUP = 65_536
"""Rows of every row group but a file's last."""
NOT_PROMPTED: Mapping[int, bool] = MappingProxyType({})

_STATISTICS = tuple(FrameStatistics.__dataclass_fields__)


class FrameInfo(Protocol):
    """What the writer needs of a decoded frame (`pipeline.input.frames.Frame` has it)."""

    @property
    def index(self) -> int: ...
    @property
    def name(self) -> str | None: ...
    @property
    def timestamp_us(self) -> int | None: ...
    @property
    def damaged(self) -> bool: ...


class VideoWriter:
    """The two files of one attempt at one video; a context manager that aborts unless finished.

    `attempt` becomes part of the file names and must be unique among all attempts of all runs at the same
    OUTPUT: a file that a commit lists is never written again.
    """

    def __init__(self, store: Store, video_id: str, attempt: str) -> None:
        self._store = store
        self._video_id = video_id
        self._attempt = attempt
        self._events = Events()
        self._scratch = Scratch()
        self._tables: dict[str, _TableFile] = {}
        try:
            for name in ROW_TABLES:
                self._tables[name] = _TableFile(name, self._scratch.folder / f"{name}.parquet")
        except OSError:
            self.abort()
            raise

    def add(
        self,
        frame: FrameInfo,
        result: FrameResult,
        *,
        approximate: Mapping[int, bool] = NOT_PROMPTED,
        backward: Collection[int] = (),
    ) -> None:
        """Write one frame and its objects; frames come in presentation order.

        `approximate`: by object that is prompted on this frame, whether its given mask only stands for a box.
        `backward`: objects whose mask comes from a later prompt.
        """
        self._tables["frames"].append(_frame_row(self._video_id, frame, result))
        for row in _mask_rows(self._video_id, frame, result, self._events):
            object_id = row["object_id"]
            self._tables["masks"].append(
                {**row, "approximate": approximate.get(object_id), "backward": object_id in backward}
            )

    def finish(self) -> dict[str, FileRecord]:
        """Put both files into the store; their records by table name. StoreUnavailable when it fails."""
        records = {name: self._put(name, table) for name, table in self._tables.items()}
        self.abort()
        return records

    def _put(self, name: str, table: "_TableFile") -> FileRecord:
        table.close()
        path = rows_path(name, self._video_id, self._attempt)
        self._store.put_file(path, table.path)
        return FileRecord(path=path, rows=table.rows, bytes=table.path.stat().st_size, sha256=_sha256(table.path))

    def abort(self) -> None:
        """Remove the temporary files; nothing more can be added."""
        for table in self._tables.values():
            table.discard()
        self._scratch.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()


class _TableFile:
    """A local Parquet file that grows by row groups; at most one group of rows is in memory."""

    def __init__(self, table: str, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._schema = schema = SCHEMAS[table]
        self._columns: dict[str, list[object]] = {name: [] for name in schema.names}
        self._buffered = 0
        self._parquet = parquet_writer(str(path), schema, SORTED_BY[table])

    def append(self, row: Mapping[str, object]) -> None:
        for name, column in self._columns.items():
            column.append(row[name])
        self.rows += 1
        self._buffered += 1
        if self._buffered == ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        group = pa.Table.from_pydict(self._columns, schema=self._schema)
        self._parquet.write_table(group, row_group_size=ROWS_PER_GROUP)
        self._clear()

    def _clear(self) -> None:
        self._columns = {name: [] for name in self._schema.names}
        self._buffered = 0

    def close(self) -> None:
        if self._buffered:
            self._flush()
        self._parquet.close()

    def discard(self) -> None:
        self._clear()
        with suppress(OSError):  # closing writes a footer, and the disk may be what failed
            self._parquet.close()


def _frame_row(video_id: str, frame: FrameInfo, result: FrameResult) -> dict[str, object]:
    bank = result.bank
    return {
        "video_id": video_id,
        "frame_index": frame.index,
        "frame_name": frame.name,
        "timestamp_us": frame.timestamp_us,
        **{name: getattr(result.statistics, name, None) for name in _STATISTICS},
        "num_objects": len(result.objects),
        "bank_size": bank.size,
        "merged": bank.merged,
        "appended": bank.appended,
        "evicted": bank.evicted,
        "dropped": bank.dropped,
        "bank_protected_share": bank.protected_share,
        "prompted": result.prompted,
        "damaged": frame.damaged,
        "shot_cut": result.shot_cut,
    }


def _mask_rows(video_id: str, frame: FrameInfo, result: FrameResult, events: Events) -> Iterator[dict[str, Any]]:
    masks = rle.encode(result.labels, [statistics.object_id for statistics in result.objects])
    for statistics, mask in zip(result.objects, masks, strict=True):
        yield {
            "video_id": video_id,
            "frame_index": frame.index,
            "timestamp_us": frame.timestamp_us,
            **_mask_columns(result.labels, statistics, mask),
            "event": events.of(statistics.object_id, mask.area, result.labels.size),
        }


def _mask_columns(labels: Labels, statistics: ObjectStatistics, mask: rle.EncodedMask) -> dict[str, Any]:
    x, y, w, h = mask.box or (None,) * 4
    return {
        "object_id": statistics.object_id,
        "height": labels.shape[0],
        "width": labels.shape[1],
        "rle": mask.counts,
        "area": mask.area,
        "bbox_x": x,
        "bbox_y": y,
        "bbox_w": w,
        "bbox_h": h,
        "score": statistics.score if mask.area else None,
        "uncertainty": statistics.uncertainty,
        "present": mask.area > 0,
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
