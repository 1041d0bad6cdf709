"""What a reader finds in the files of masks and frames, beside their rows."""

import uuid

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.output.layout import ROW_TABLES
from pipeline.output.parquet import SORTED_BY
from pipeline.output.writer import VideoWriter
from pipeline.storage.store import Store
from tests.pipeline.output.test_writer import Info, make_result

FRAMES = 300


@pytest.fixture(scope="module")
def files() -> dict[str, pq.ParquetFile]:
    """Of a video whose object moves."""
    store = Store(f"memory://{uuid.uuid4().hex}")
    with VideoWriter(store, "clip", "1") as writer:
        for index in range(FRAMES):
            labels = np.zeros((20, 400), np.int32)
            labels[3:9, index : index + 30] = 1
            labels[12:, 5:9] = 2
            writer.add(Info(index), make_result(labels, (1, 2)))
        records = writer.finish()
    return {name: pq.ParquetFile(pa.BufferReader(store.get(record.path))) for name, record in records.items()}


def columns_of(file: pq.ParquetFile) -> dict[str, pq.ColumnChunkMetaData]:
    group = file.metadata.row_group(0)
    return {group.column(n).path_in_schema: group.column(n) for n in range(group.num_columns)}


@pytest.mark.parametrize("name", ROW_TABLES)
def test_it_is_told_how_rows_are_sorted_and_they_are(files: dict[str, pq.ParquetFile], name: str) -> None:
    group = files[name].metadata.row_group(0)
    by = [files[name].schema_arrow.names[one.column_index] for one in group.sorting_columns]
    assert tuple(by) == SORTED_BY[name]
    assert not any(one.descending for one in group.sorting_columns)
    rows = [tuple(row.values()) for row in files[name].read(columns=by).select(by).to_pylist()]
    assert rows == sorted(rows) and len(rows) >= FRAMES


@pytest.mark.parametrize("name", ROW_TABLES)
def test_every_column_has_a_page_index(files: dict[str, pq.ParquetFile], name: str) -> None:
    columns = columns_of(files[name])
    assert all(column.has_offset_index for column in columns.values())
    assert {path for path, column in columns.items() if not column.has_column_index} <= {"rle"}


def test_run_lengths_have_neither_statistics_nor_a_dictionary(files: dict[str, pq.ParquetFile]) -> None:
    columns = columns_of(files["masks"])
    assert not columns["rle"].is_stats_set and not columns["rle"].has_dictionary_page
    assert columns["frame_index"].statistics.max == FRAMES - 1
    assert columns["event"].is_stats_set and columns["object_id"].has_dictionary_page
