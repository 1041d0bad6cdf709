"""Whether a file of `masks` or `frames` is what its commit says: read in full, in bounded memory."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.output.commits import FileRecord
from pipeline.output.findings import Kind
from pipeline.output.schema import SCHEMAS, conform
from pipeline.scratch import Scratch
from pipeline.storage.store import Store

_IN_MEMORY = 16 << 20
"""Bytes of a file that is not copied to the disk."""
_BLOCK = 8 << 20
_ROWS = 65_536


class Fault(NamedTuple):
    """What is wrong with a file."""

    kind: Kind
    what: str


def fault_of(store: Store, table: str, video_id: str, record: FileRecord, listed: int | None) -> Fault | None:
    """Compare a file with its record; `listed`: its size in a listing, in bytes, None where it is not there.

    Raises StoreUnavailable.
    """
    if listed is None:
        return Fault(Kind.MISSING, "is not there")
    if listed != record.bytes:
        return Fault(Kind.SHORT, f"has {listed:,} bytes instead of {record.bytes:,}")
    try:
        with _read(store, record) as (sha256, source):
            if sha256 != record.sha256:
                return Fault(Kind.ALTERED, f"holds other bytes: its sha256 is {sha256[:16]}...")
            wrong = _wrong_rows(table, video_id, source, record.rows)
            return Fault(Kind.WRONG_ROWS, wrong) if wrong else None
    except FileNotFoundError:
        return Fault(Kind.MISSING, "is not there")


def count_rows(store: Store, record: FileRecord) -> int:
    """How many rows a file holds; 0 where it cannot be read. Raises StoreUnavailable."""
    try:
        with _read(store, record) as (_, source):
            return int(pq.ParquetFile(source).metadata.num_rows)
    except (pa.ArrowException, OSError):
        return 0


@contextmanager
def _read(store: Store, record: FileRecord) -> Iterator[tuple[str, pa.NativeFile]]:
    """The sha256 of a file, and the file for Arrow."""
    # Never a Python file: a thread of Arrow may let go of it while the interpreter exits, and abort.
    if record.bytes <= _IN_MEMORY:
        data = store.get(record.path)
        yield hashlib.sha256(data).hexdigest(), pa.BufferReader(data)
        return
    with Scratch() as scratch:
        path, digest = scratch.folder / "file", hashlib.sha256()
        with store.open(record.path) as source, path.open("wb") as copy:
            while block := source.read(_BLOCK):
                digest.update(block)
                copy.write(block)
        with pa.OSFile(str(path)) as file:
            yield digest.hexdigest(), file


def _wrong_rows(table: str, video_id: str, source: pa.NativeFile, rows: int) -> str | None:
    try:
        parquet = pq.ParquetFile(source)
        conform(table, parquet.schema_arrow.empty_table())
        if parquet.metadata.num_rows != rows:
            return f"holds {parquet.metadata.num_rows:,} rows instead of {rows:,}"
        for batch in parquet.iter_batches(_ROWS, columns=[SCHEMAS[table].names[0]], use_threads=False):
            if not pc.all(pc.equal(batch.column(0), video_id), min_count=0).as_py():
                return "holds rows of another video"
    except (pa.ArrowException, OSError) as error:
        return f"is no table of {table} ({error})"
    return None
