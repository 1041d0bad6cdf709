"""A folder for Hugging Face's `datasets`, DuckDB and data frames: the tables as Parquet, and a README that names them.

The files are made for readers: some large ones rather than one a video, sorted, with page indexes, and without
statistics of masks, which nobody compares.
"""

import json
from collections.abc import Iterator
from itertools import count
from types import TracebackType
from typing import BinaryIO, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.exports.format import Corpus, Format
from jobs.exports.parts import Parts
from jobs.exports.sink import Sink
from jobs.exports.video import ExportedFrame, ExportedVideo, Selection
from pipeline.output.parquet import SORTED_BY, parquet_writer
from pipeline.output.schema import SCHEMAS

_ROWS_PER_GROUP = 16_384
_ROWS_PER_FILE = 1 << 20
_CLASS = pa.field("class_name", pa.string(), metadata={"description": "the manifest's, object where it has none"})
_VIDEOS = pa.schema(
    [
        ("video_id", pa.string()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("fps", pa.float64()),
        ("object_ids", pa.list_(pa.int32())),
        ("class_names", pa.list_(pa.string())),
    ]
)
_SCHEMAS = {"masks": SCHEMAS["masks"].append(_CLASS), "frames": SCHEMAS["frames"], "videos": _VIDEOS}
_SORTED_BY = {**SORTED_BY, "videos": ("video_id",)}
_README = """---
configs:
- config_name: masks
  data_files: masks/*.parquet
  default: true
- config_name: frames
  data_files: frames/*.parquet
- config_name: videos
  data_files: videos/*.parquet
---

# Masks by vos-batch

`masks` has a row a frame and object, `frames` a row a frame, `videos` a row a video. `rle` is COCO's compressed
run-length encoding of a mask of `height` x `width` pixels; units and meanings of all columns are in the field metadata
of the Parquet files.

    from datasets import load_dataset
    from pycocotools import mask

    row = load_dataset("FOLDER", "masks", split="train")[0]
    pixels = mask.decode({"size": [row["height"], row["width"]], "counts": row["rle"]})
"""


def _write(video: ExportedVideo, frames: Iterator[ExportedFrame], sink: Sink) -> None:
    # The tables go over as they are, without the way through `frames`.
    with _Writer(sink.part("frames").file, "frames") as writer:
        for batch in _of_taken_frames(video, "frames"):
            writer.add(batch)
            sink.tally.frames += len(batch)
    with _Writer(sink.part("masks").file, "masks") as writer:
        for batch in _of_taken_frames(video, "masks"):
            taken = batch.filter(_is_taken(batch, video.selection))
            writer.add(_with_classes(taken, video))
            before, after = (pc.sum(one["present"]).as_py() or 0 for one in (batch, taken))
            sink.tally.object_frames += after
            sink.tally.left_out += before - after
    sink.part("videos").add(json.dumps(_about(video), ensure_ascii=False), between="\n")


def _of_taken_frames(video: ExportedVideo, table: str) -> Iterator[pa.RecordBatch]:
    first = next((row["frame_index"] for row in video.found.rows("frames", ["frame_index"])), 0)
    for batch in video.found.batches(table, rows=_ROWS_PER_GROUP):
        places = batch["frame_index"].to_numpy() - first
        yield batch.filter(pa.array(video.selection.takes_frames(places)))


def _is_taken(batch: pa.RecordBatch, selection: Selection) -> pa.BooleanArray:
    values = zip(batch["score"].to_pylist(), batch["uncertainty"].to_pylist(), strict=True)
    return pa.array([selection.takes(score, uncertainty) for score, uncertainty in values], pa.bool_())


def _with_classes(batch: pa.RecordBatch, video: ExportedVideo) -> pa.RecordBatch:
    names = pa.array([video.class_of(object_id) for object_id in batch["object_id"].to_pylist()], pa.string())
    return pa.RecordBatch.from_arrays([*batch.columns, names], schema=_SCHEMAS["masks"])


def _about(video: ExportedVideo) -> dict[str, object]:
    return {
        "video_id": video.video_id,
        "height": video.size[0],
        "width": video.size[1],
        "fps": video.fps,
        "object_ids": video.object_ids,
        "class_names": [video.class_of(object_id) for object_id in video.object_ids],
    }


class _Writer:
    """A Parquet file for readers: batches in, row groups of one size out."""

    def __init__(self, file: BinaryIO, table: str) -> None:
        self._file = parquet_writer(file, _SCHEMAS[table], _SORTED_BY[table])
        self._waiting: list[pa.RecordBatch] = []
        self.rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch)
        self.rows += len(batch)
        if sum(map(len, self._waiting)) >= _ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._file.write_table(pa.Table.from_batches(self._waiting))
            self._waiting = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
        self._file.close()


def _finish(corpus: Corpus, parts: Parts) -> None:
    for table in ("masks", "frames", "videos"):
        batches = _videos(parts) if table == "videos" else _joined(parts, table)
        _write_files(parts, table, batches)
    parts.put("README.md", _README.encode())


def _joined(parts: Parts, table: str) -> Iterator[pa.RecordBatch]:
    for file in parts.files(table):
        yield from pq.ParquetFile(file).iter_batches(batch_size=_ROWS_PER_GROUP)


def _videos(parts: Parts) -> Iterator[pa.RecordBatch]:
    for file in parts.files("videos"):
        yield pa.RecordBatch.from_pylist([json.loads(line) for line in file], schema=_SCHEMAS["videos"])


def _write_files(parts: Parts, table: str, batches: Iterator[pa.RecordBatch]) -> None:
    """One file at least, so that a table without rows can be read too."""
    for number in count():
        with parts.file(f"{table}/{number:05d}.parquet") as file, _Writer(file, table) as writer:
            for batch in batches:
                writer.add(batch)
                if writer.rows >= _ROWS_PER_FILE:
                    break
            else:
                return


HF = Format(
    name="hf",
    lacks={},
    write=_write,
    finish=_finish,
    pictures="pictures",
)
