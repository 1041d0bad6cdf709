"""An OUTPUT as an earlier version of the schema wrote it, made of one of today."""

import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.output.committed import read_committed
from pipeline.output.schema import SCHEMAS
from pipeline.output.videos import sync_videos
from pipeline.storage.store import Store

_MASKS = """video_id frame_index timestamp_us object_id height width rle area bbox_x bbox_y bbox_w bbox_h score
    uncertainty present"""
_FRAMES = """video_id frame_index frame_name timestamp_us uncertainty_mean uncertainty_p50 uncertainty_p95
    uncertainty_max uncertain_fraction margin entropy num_objects bank_size merged appended evicted dropped
    bank_protected_share prompted damaged"""
_VIDEOS = """video_id status frames_expected frames_decoded width height fps rotation codec objects attempts
    smaller_blocks resumed_from seconds_decode seconds_network seconds_write seconds_total gpu host checkpoint identity
    code_version committed_at run_id bad_packets driver masks_file masks_bytes masks_sha256 frames_file frames_bytes
    frames_sha256"""
Columns = dict[str, list[str]]
_FIRST = {"masks": _MASKS.split(), "frames": _FRAMES.split(), "videos": _VIDEOS.split()}
_SECOND = {
    "masks": [*_FIRST["masks"], "approximate", "event"],
    "frames": [*_FIRST["frames"], "shot_cut"],
    "videos": [*_FIRST["videos"], "needs_prompt_frame"],
}
COLUMNS: Mapping[int, Columns] = {1: _FIRST, 2: _SECOND}
"""By version and table."""


def put_back(store: Store, version: int) -> None:
    """Make every commit, file and table of an OUTPUT one of that version; nothing else may use it meanwhile."""
    for name in [entry.name for entry in store.list("_commits")]:
        path = f"_commits/{name}"
        commit = json.loads(store.get(path))
        for table, record in commit["files"].items():
            data = _file(table, version, pq.read_table(pa.BufferReader(store.get(record["path"]))).to_pylist())
            store.put(record["path"], data)
            record |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        commit["video"] = {key: value for key, value in commit["video"].items() if key in COLUMNS[version]["videos"]}
        commit["schema_version"] = version
        store.put(path, json.dumps(commit).encode())
    for entry in store.list("videos"):
        store.delete(f"videos/{entry.name}")
    sync_videos(store, read_committed(store))
    for entry in store.list("videos"):
        path = f"videos/{entry.name}"
        store.put(path, _file("videos", version, pq.read_table(pa.BufferReader(store.get(path))).to_pylist()))
    store.put("_vos-batch.json", json.dumps({"format": "vos-batch", "schema_version": version}).encode())


def _file(table: str, version: int, rows: Iterable[Mapping[str, Any]]) -> bytes:
    columns = COLUMNS[version][table]
    fields = [SCHEMAS[table].field(name) for name in columns]
    schema = pa.schema(fields, metadata={"table": table, "schema_version": str(version)})
    kept = [{name: row[name] for name in columns} for row in rows]
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, schema, compression="zstd") as writer:
        writer.write_table(pa.Table.from_pylist(kept, schema=schema))
    return buffer.getvalue()
