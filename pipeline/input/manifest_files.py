"""The rows of a manifest as values, in three formats: JSON Lines, CSV and Parquet, told apart by the file's suffix.

In CSV a cell of `prompts` or `metadata` is JSON, an empty cell is a missing value; in Parquet `prompts` is a list of
structs (or JSON text) and `metadata` JSON text (or a struct).
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InvalidManifest

_NUMBERS = ("mask_frame", "start_frame", "end_frame", "num_frames", "height", "width")
COLUMNS = ("video_id", "video_uri", "prompts", "mask_uri", *_NUMBERS, "metadata")
"""Of a row; `mask_uri` and `mask_frame` stand for one prompt."""
PROMPT_COLUMNS = ("frame_index", "mask_uri", "objects", "object_ids")
"""Of an item of `prompts`."""
KINDS = ("rle", "polygons", "box")
"""What an item of `objects` may give; one of them."""
OBJECT_COLUMNS = ("object_id", *KINDS)
"""Of an item of `objects`."""
_JSON = ("prompts", "metadata")
_LONGEST_CELL = 1 << 30
_WHOLE = re.compile(r"[+-]?\d+")
_OBJECT = pa.struct(
    [
        ("object_id", pa.int32()),
        ("rle", pa.struct([("size", pa.list_(pa.int64())), ("counts", pa.string())])),
        ("polygons", pa.list_(pa.list_(pa.float64()))),
        ("box", pa.list_(pa.float64())),
    ]
)
_PROMPT = pa.struct(
    [
        ("frame_index", pa.int64()),
        ("mask_uri", pa.string()),
        ("objects", pa.list_(_OBJECT)),
        ("object_ids", pa.list_(pa.int32())),  # null: by the mask, or the objects
    ]
)
_SCHEMA = pa.schema(
    [("video_id", pa.string()), ("video_uri", pa.string()), ("prompts", pa.list_(_PROMPT))]
    + [(name, pa.int64()) for name in _NUMBERS if name != "mask_frame"]
    + [("metadata", pa.string())]
)


class Row(NamedTuple):
    """One row as it stands in the file."""

    number: int
    """JSON Lines and CSV: the line on which it begins, from 1; Parquet: the row, from 1."""
    values: dict[str, Any] | None
    """By column, without what is missing; None: unreadable."""
    fault: str = ""
    """Why it is unreadable."""


class _Format(NamedTuple):
    read: Callable[[bytes], tuple[Sequence[str] | None, Iterator[Row]]]
    write: Callable[[Sequence[Mapping[str, Any]]], bytes]


def is_manifest(name: str) -> bool:
    """Whether it ends as the name of a manifest does."""
    return _suffix(name) in _FORMATS


def check_format(name: str) -> None:
    """Raise InvalidManifest, naming the formats, unless `name` ends as a manifest does; nothing is read."""
    if not is_manifest(name):
        raise InvalidManifest(f"{name}: a manifest is a file that ends in {', '.join(_FORMATS)}")


def read_rows(name: str, data: bytes) -> tuple[Sequence[str] | None, Iterator[Row]]:
    """The columns of the whole file (None: every row has its own) and its rows, of a manifest called `name`.

    Raises InvalidManifest for a file that is not in its format; also while the rows are read.
    """
    with _in_its_format(name):
        columns, rows = _FORMATS[_suffix(name)].read(data)
    return columns, _read_on(name, rows)


def _read_on(name: str, rows: Iterator[Row]) -> Iterator[Row]:
    with _in_its_format(name):
        yield from rows


@contextmanager
def _in_its_format(name: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, pa.ArrowException, OSError, csv.Error) as error:  # OSError: Parquet's damaged pages
        raise InvalidManifest(f"{name}: is no {_suffix(name)[1:]} ({error}); export it again") from error


def write_rows(name: str, rows: Sequence[Mapping[str, Any]]) -> bytes:
    """A manifest file called `name` with these rows, given as JSON Lines has them."""
    return _FORMATS[_suffix(name)].write(rows)


def _suffix(name: str) -> str:
    return "." + name.lower().rpartition(".")[2]


def _read_json_lines(data: bytes) -> tuple[None, Iterator[Row]]:
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return None, (_json_row(number, line) for number, line in enumerate(lines, 1) if line.strip())


def _json_row(number: int, line: bytes) -> Row:
    try:
        values = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        return Row(number, None, f"is not JSON in UTF-8 ({error})")
    if not isinstance(values, dict):
        return Row(number, None, f"is {shown(values)}, expected a JSON object")
    return Row(number, values)


def shown(value: Any) -> str:
    """A value for a message: as JSON, cut."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _write_json_lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _read_csv(data: bytes) -> tuple[Sequence[str], Iterator[Row]]:
    csv.field_size_limit(_LONGEST_CELL)  # one of prompts may be long; the limit is the process's
    cells = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
    columns = [name.strip() for name in next(cells, [])]
    if twice := [name for name in columns if columns.count(name) > 1]:
        raise ValueError(f"column {twice[0]!r} stands twice")
    return columns, _csv_rows(cells, columns)


def _csv_rows(cells: Any, columns: Sequence[str]) -> Iterator[Row]:
    begins = cells.line_num + 1
    for row in cells:
        if row:
            yield _csv_row(begins, row, columns)
        begins = cells.line_num + 1


def _csv_row(number: int, cells: Sequence[str], columns: Sequence[str]) -> Row:
    if len(cells) > len(columns):
        return Row(number, None, f"has {len(cells)} cells under {len(columns)} columns; quote cells that hold commas")
    pairs = zip(columns, cells, strict=False)
    return Row(number, {name: _csv_value(name, cell) for name, cell in pairs if cell.strip()})


def _csv_value(name: str, cell: str) -> Any:
    if name in _NUMBERS and _WHOLE.fullmatch(cell.strip()):
        return int(cell)
    return _from_json(cell) if name in _JSON else cell


def _from_json(text: str) -> Any:
    """What it says; text that is no JSON stays, and is refused as not being what its column holds."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _write_csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    columns = [name for name in _SCHEMA.names if any(name in row for row in rows)]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)  # CRLF as RFC 4180 has it, so that both characters are quoted in cells
    writer.writeheader()
    writer.writerows({name: json.dumps(v) if name in _JSON else v for name, v in row.items()} for row in rows)
    return text.getvalue().encode()


def _read_parquet(data: bytes) -> tuple[Sequence[str], Iterator[Row]]:
    file = pq.ParquetFile(pa.BufferReader(data))
    return file.schema_arrow.names, _parquet_rows(file)


def _parquet_rows(file: pq.ParquetFile) -> Iterator[Row]:
    number = 0
    for batch in file.iter_batches(batch_size=4096):
        for values in batch.to_pylist():
            number += 1
            yield Row(number, _parquet_values(values))


def _parquet_values(values: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: _parquet_value(name, value) for name, value in values.items()}
    return {name: value for name, value in found.items() if value is not None}


def _parquet_value(name: str, value: Any) -> Any:
    if name in _JSON:
        return _from_json(value) if isinstance(value, str) else _without_nulls(value)
    if name in _NUMBERS and isinstance(value, float):  # so do data frames hold numbers beside gaps
        return None if value != value else int(value) if value.is_integer() else value
    return value


def _without_nulls(value: Any) -> Any:
    """A struct's field that a row leaves out is null in Parquet."""
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


def _write_parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    table = pa.Table.from_pylist([_parquet_row(row) for row in rows], schema=_SCHEMA)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _parquet_row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "metadata": json.dumps(row["metadata"])} if "metadata" in row else dict(row)


_FORMATS: Mapping[str, _Format] = {
    ".jsonl": _Format(_read_json_lines, _write_json_lines),
    ".ndjson": _Format(_read_json_lines, _write_json_lines),
    ".csv": _Format(_read_csv, _write_csv),
    ".parquet": _Format(_read_parquet, _write_parquet),
}
