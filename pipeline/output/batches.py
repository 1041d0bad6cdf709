"""Rows that the driver writes as it goes: in files of many, and soon enough for a reader during the run."""

import io
import time
from collections.abc import Callable, Iterable, Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.output.layout import table_path
from pipeline.output.schema import to_table
from pipeline.storage.store import Store


class RowBatches:
    """Rows of one table; a killed driver loses at most those that wait here."""

    def __init__(
        self,
        store: Store,
        table: str,
        run_id: str,
        *,
        most_rows: int = 1000,
        longest_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._table = table
        self._run_id = run_id
        self._most_rows = most_rows
        self._longest_s = longest_s
        self._clock = clock
        self._rows: list[Mapping[str, object]] = []
        self._since_s = 0.0
        self._files = 0

    def add(self, row: Mapping[str, object]) -> None:
        """Take a row; writes nothing."""
        if not self._rows:
            self._since_s = self._clock()
        self._rows.append(row)

    def write_due(self) -> None:
        """Write what waits, if it is many rows or waits for long. Raises as `write`."""
        if len(self._rows) >= self._most_rows or (self._rows and self._clock() - self._since_s >= self._longest_s):
            self.write()

    def write(self) -> None:
        """Write what waits. Raises ValueError for rows that do not fit the table, InvalidOutput, StoreUnavailable."""
        if self._rows:
            write_rows(self._store, self._table, f"{self._run_id}-{self._files:05d}", self._rows)
            self._rows, self._files = [], self._files + 1


def write_rows(store: Store, table: str, name: str, rows: Iterable[Mapping[str, object]]) -> None:
    """Put rows as the file `name` of a table; ValueError when they do not fit the table."""
    put_table(store, table_path(table, name), to_table(table, rows))


def put_table(store: Store, path: str, table: pa.Table) -> None:
    """Put a table as one Parquet file, atomically."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    store.put(path, buffer.getvalue())
