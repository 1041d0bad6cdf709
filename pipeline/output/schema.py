"""The tables of an output folder (design 7): their columns, with units and meaning in the field metadata.

Field metadata: `description`, `unit` where there is one, and in `videos` `deterministic` = "true" for the columns
that depend only on the input and the settings, so that two runs can be compared.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

import pyarrow as pa

SCHEMA_VERSION = 3
"""Raised by hand when a column comes, or changes its name, type or meaning.

2: `frames.shot_cut`, `masks.approximate` and `event`, `videos.needs_prompt_frame`. 3: `masks.backward`.
"""

NEEDS_PROMPT = "needs_prompt"
"""The status of a video that ended before its last frame, for want of a prompt."""

_TIME = pa.timestamp("us", tz="UTC")
# "element" is Parquet's own name: what is read back then equals what was written.
_IDS = pa.list_(pa.field("element", pa.int32(), nullable=False))


def column(name: str, kind: pa.DataType, description: str, *, unit: str = "", null: bool = False) -> pa.Field:
    """A column that says what it is and in which unit; `null`: some rows may not know."""
    metadata = {"description": description} | ({"unit": unit} if unit else {})
    return pa.field(name, kind, nullable=null, metadata=metadata)


def _deterministic(field: pa.Field) -> pa.Field:
    return field.with_metadata({**field.metadata, "deterministic": "true"})


def _schema(table: str, fields: Iterable[pa.Field]) -> pa.Schema:
    return pa.schema(fields, metadata={"table": table, "schema_version": str(SCHEMA_VERSION)})


_VIDEO_ID = column("video_id", pa.string(), "the manifest's video_id")
_FRAME_INDEX = column(
    "frame_index",
    pa.int64(),
    "decoded frames of the source before this one, in presentation order",
    unit="frames",
)
_TIMESTAMP = column("timestamp_us", pa.int64(), "presentation time; null for folders of frames", unit="us", null=True)

MASKS = _schema(
    "masks",
    [
        _VIDEO_ID,
        _FRAME_INDEX,
        _TIMESTAMP,
        column("object_id", pa.int32(), "the id given by the prompts"),
        column("height", pa.int32(), "height of the mask, the video's own", unit="px"),
        column("width", pa.int32(), "width of the mask, the video's own", unit="px"),
        column("rle", pa.string(), "COCO compressed counts, column-major, background first"),
        column("area", pa.int64(), "pixels of the mask", unit="px"),
        column("bbox_x", pa.int32(), "left edge of the tight box; null when empty", unit="px", null=True),
        column("bbox_y", pa.int32(), "top edge of the tight box; null when empty", unit="px", null=True),
        column("bbox_w", pa.int32(), "width of the tight box; null when empty", unit="px", null=True),
        column("bbox_h", pa.int32(), "height of the tight box; null when empty", unit="px", null=True),
        column(
            "score",
            pa.float32(),
            "mean final probability inside the mask, at network size; null when empty or not predicted",
            unit="probability",
            null=True,
        ),
        column(
            "uncertainty",
            pa.float32(),
            "mean U over the dilated mask; null where there was no prediction",
            unit="0..1",
            null=True,
        ),
        column("present", pa.bool_(), "area > 0"),
        column(
            "approximate",
            pa.bool_(),
            "a box was given, and the mask follows it instead of the object; false: a mask was given, or GrabCut found "
            "one in the box; null: the object has no prompt on this frame",
            null=True,
        ),
        column(
            "event",
            pa.string(),
            "fills: over 90 % of the picture; lost: no pixel, some in the frame before; found: pixels, none in the "
            "frame before; jump: area x 3 or / 3 since the frame before; null: none of these",
            null=True,
        ),
        column(
            "backward",
            pa.bool_(),
            "with --both-ways: it comes from a later prompt, against the order of the frames; null: an earlier version "
            "wrote it",
            null=True,
        ),
    ],
)
"""One row per frame and object, from the object's first prompt on, filled from behind from the video's first frame on
(`pipeline.run.both_ways`); sorted by (frame_index, object_id)."""


def _statistic(name: str, description: str, unit: str = "0..1") -> pa.Field:
    return column(name, pa.float32(), f"{description}; null before the first prediction", unit=unit, null=True)


def _count(name: str, description: str) -> pa.Field:
    return column(name, pa.int64(), f"{description}, over objects and background", unit="features")


FRAMES = _schema(
    "frames",
    [
        _VIDEO_ID,
        _FRAME_INDEX,
        column("frame_name", pa.string(), "file name of the frame; null for video files", null=True),
        _TIMESTAMP,
        _statistic("uncertainty_mean", "mean of U over the frame, at network size"),
        _statistic("uncertainty_p50", "median of U"),
        _statistic("uncertainty_p95", "95th percentile of U"),
        _statistic("uncertainty_max", "maximum of U"),
        _statistic("uncertain_fraction", "share of pixels with U > 0.5"),
        _statistic("margin", "mean of the best minus the second-best probability"),
        _statistic("entropy", "mean entropy over background and objects", unit="nats"),
        column("num_objects", pa.int32(), "objects prompted so far", unit="objects"),
        _count("bank_size", "stored features after the frame"),
        _count("merged", "features of this frame merged into stored ones"),
        _count("appended", "features of this frame appended"),
        _count("evicted", "stored features evicted"),
        _count("dropped", "features of this frame that did not fit the budget"),
        column("bank_protected_share", pa.float32(), "protected features as a share of all", unit="0..1"),
        column("prompted", pa.bool_(), "a prompt was given on this frame and is merged into its masks"),
        column("damaged", pa.bool_(), "a bad packet since the last frame"),
        column(
            "shot_cut",
            pa.bool_(),
            "another shot begins: a hard cut is its first frame, a fade one of its last frames or of the few after it; "
            "null up to the first prompt, where the network has looked at nothing",
            null=True,
        ),
    ],
)
"""One row per decoded frame, sorted by frame_index."""


def _file_fields(table: str) -> list[pa.Field]:
    return [
        column(f"{table}_file", pa.string(), f"where its rows of {table} lie below the output", null=True),
        column(f"{table}_bytes", pa.int64(), "size of that file", unit="bytes", null=True),
        _deterministic(column(f"{table}_sha256", pa.string(), "of that file, hexadecimal", null=True)),
    ]


VIDEOS = _schema(
    "videos",
    [
        _deterministic(_VIDEO_ID),
        _deterministic(column("status", pa.string(), f"complete, truncated, damaged or {NEEDS_PROMPT}")),
        _deterministic(
            column(
                "needs_prompt_frame",
                pa.int64(),
                f"frame_index that a further prompt is needed on, or after; null unless status is {NEEDS_PROMPT}",
                unit="frames",
                null=True,
            )
        ),
        _deterministic(
            column("frames_expected", pa.int64(), "by the container; null: unknown", unit="frames", null=True)
        ),
        _deterministic(column("frames_decoded", pa.int64(), "rows of this video in frames", unit="frames")),
        _deterministic(column("width", pa.int32(), "after rotation", unit="px")),
        _deterministic(column("height", pa.int32(), "after rotation", unit="px")),
        _deterministic(column("fps", pa.float64(), "average rate; null for folders", unit="frames/s", null=True)),
        _deterministic(column("rotation", pa.int32(), "applied to the coded picture", unit="degrees")),
        _deterministic(column("codec", pa.string(), "as the decoder names it; jpeg or png for folders")),
        _deterministic(column("objects", _IDS, "ids of all prompted objects, ascending")),
        column("attempts", pa.int32(), "attempts this run needed, the successful one included"),
        column("smaller_blocks", pa.bool_(), "segmented in smaller blocks, after an attempt ran out of memory"),
        column(
            "resumed_from",
            pa.int64(),
            "frame_index the committed attempt went on from; null: from the start",
            unit="frames",
            null=True,
        ),
        column("seconds_decode", pa.float64(), "waiting for decoded frames", unit="s"),
        column("seconds_network", pa.float64(), "in the network and the bank", unit="s"),
        column("seconds_write", pa.float64(), "waiting for the writer", unit="s"),
        column("seconds_total", pa.float64(), "from opening the video to its last file", unit="s"),
        column("gpu", pa.string(), "name of the device; null: CPU", null=True),
        column("host", pa.string(), "machine that segmented it"),
        _deterministic(column("checkpoint", pa.string(), "fingerprint of the weights")),
        _deterministic(column("identity", pa.string(), "hash of everything that can change a mask")),
        column("code_version", pa.string(), "version of vos-batch"),
        column("committed_at", _TIME, "when the driver committed the video"),
        column("run_id", pa.string(), "the run that committed it"),
        _deterministic(column("bad_packets", pa.int64(), "packets that did not decode", unit="packets")),
        column(
            "driver",
            pa.int64(),
            "lease number of the driver that committed it: the higher, the newer",
            null=True,
        ),
        *_file_fields("masks"),
        *_file_fields("frames"),
    ],
)
"""One row per committed video; needs_prompt_frame and the last seven columns are null where an earlier version wrote
the row."""

FAILURES = _schema(
    "failures",
    [
        column("run_id", pa.string(), "the run in which it failed"),
        _VIDEO_ID,
        column("row", pa.int32(), "row of the manifest, from 1"),
        column("attempt", pa.int32(), "attempts of this run at the video, this one included"),
        column("cause", pa.string(), "class name of the error"),
        column("message", pa.string(), "the error's text"),
        column("frame_index", pa.int64(), "frame it failed at; null: none", unit="frames", null=True),
        column("retryable", pa.bool_(), "another attempt may succeed"),
        column("worker", pa.string(), "worker that had it; null: none", null=True),
        column("host", pa.string(), "machine of that worker; null: unknown", null=True),
        column("failed_at", _TIME, "when the driver heard of it"),
        column("trace", pa.string(), "where a bug of vos-batch came up; null: the failure was foreseen", null=True),
    ],
)
"""One row per failed attempt."""

SCHEMAS: Mapping[str, pa.Schema] = {
    "masks": MASKS,
    "frames": FRAMES,
    "videos": VIDEOS,
    "failures": FAILURES,
}
"""Every table by the name of its folder."""


def to_table(name: str, rows: Iterable[Mapping[str, object]]) -> pa.Table:
    """Rows of table `name` as Arrow, exactly its columns; times may be ISO 8601 text, as JSON holds them.

    Raises ValueError for a row with other columns or with a null where the table has none.
    """
    schema = SCHEMAS[name]
    table = pa.Table.from_pylist([_typed(name, schema, row) for row in rows], schema=schema)
    _refuse_nulls(name, table)
    return table


def completed(name: str, row: Mapping[str, object]) -> dict[str, object]:
    """A row that an earlier version wrote, with the columns of this one: new ones are null."""
    return {field.name: None for field in SCHEMAS[name] if field.nullable} | dict(row)


def conform(name: str, table: pa.Table) -> pa.Table:
    """Rows of table `name` that this or an earlier version wrote, with the columns of this one: new ones are null.

    Raises pa.ArrowInvalid for a table with other types or without a column that may not be null.
    """
    schema = SCHEMAS[name]
    if missing := [field.name for field in schema if not field.nullable and field.name not in table.column_names]:
        raise pa.ArrowInvalid(f"no rows of {name}: it lacks {', '.join(missing)}")
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _typed(name: str, schema: pa.Schema, row: Mapping[str, object]) -> dict[str, object]:
    if wrong := row.keys() ^ set(schema.names):
        raise ValueError(f"row of {name}: columns missing or unknown: {', '.join(sorted(wrong))}")
    return {field.name: _value(field, row[field.name]) for field in schema}


def _value(field: pa.Field, value: object) -> object:
    return datetime.fromisoformat(value) if field.type == _TIME and isinstance(value, str) else value


def _refuse_nulls(name: str, table: pa.Table) -> None:
    for field in table.schema:
        if not field.nullable and table.column(field.name).null_count:
            raise ValueError(f"row of {name}: {field.name} must not be null")
