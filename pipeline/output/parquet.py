"""Parquet files of masks and frames as their readers want them: told how they are sorted, and with page indexes.

A reader that filters by frame or by event so leaves out whole pages. Of run lengths there are neither statistics nor
dictionaries, for nobody compares them and hardly two are equal.
"""

from collections.abc import Sequence
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

SORTED_BY = {"masks": ("video_id", "frame_index", "object_id"), "frames": ("video_id", "frame_index")}
"""By table. Of one video the first column says nothing, of several it does."""
_OPAQUE = "rle"


def parquet_writer(where: str | IO[bytes], schema: pa.Schema, sorted_by: Sequence[str]) -> pq.ParquetWriter:
    """A writer of rows that are sorted by these columns, ascending; it does not look whether they are."""
    compared = [name for name in schema.names if name != _OPAQUE]
    return pq.ParquetWriter(
        where,
        schema,
        compression="zstd",
        use_dictionary=compared,
        write_statistics=compared,
        write_page_index=True,
        sorting_columns=pq.SortingColumn.from_ordering(schema, [(name, "ascending") for name in sorted_by]),
    )
