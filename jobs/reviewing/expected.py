"""`expected_j` of every object-frame of an output, beside its tables: OUTPUT/review/expected_j.parquet.

Videos come one after the other, so memory does not grow with their number.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.reviewing.quality import QualityModel
from jobs.reviewing.statistics import OBJECT_FRAMES, object_frames
from pipeline.input.frame_folder import natural_key
from pipeline.output.labels import CommittedVideo, committed_videos
from pipeline.output.schema import column
from pipeline.scratch import Scratch
from pipeline.storage.store import Store

FOLDER = "review"
FILE = f"{FOLDER}/expected_j.parquet"

REASONS = (
    "uncertainty", "uncertainty_rise", "score", "area_share", "area_change", "area_to_prompt", "overlap_before",
    "fragments", "largest_fragment", "box_overlap", "nearest_prompt", "cuts",
)  # fmt: skip
"""The statistics that are stored beside it."""

_ROWS_PER_GROUP = 65_536

_EXPECTED_J = column("expected_j", pa.float32(), "the J that object-frames of such statistics had; 1 where prompted")
_IDENTITY = column("identity", pa.string(), "of the commit that was looked at, as in `videos`")
_KEYS = ("video_id", "frame_index", "object_id", "prompted")
EXPECTED = pa.schema(
    [_IDENTITY, *(OBJECT_FRAMES.field(name) for name in _KEYS), _EXPECTED_J, *(OBJECT_FRAMES.field(n) for n in REASONS)]
)
"""One row per object-frame that has a mask, by video, frame and object."""


def expected(video: CommittedVideo, model: QualityModel) -> pa.Table:
    """`expected_j` and all statistics of a video's object-frames: OBJECT_FRAMES and one column.

    Raises FileNotFoundError when the video was replaced and removed meanwhile.
    """
    statistics = object_frames(video)
    return statistics.append_column(_EXPECTED_J, pa.array(model.expected_j(statistics), pa.float32()))


def write_expected(output: str, model: QualityModel) -> int:
    """Write `expected_j` of all that is committed in an output; the number of rows.

    What stood there before is replaced. Raises InvalidOutput for a folder that is not ours, StoreUnavailable.
    """
    videos = committed_videos(output)
    tables = (_stored(videos[video_id], model) for video_id in sorted(videos, key=natural_key))
    schema = EXPECTED.with_metadata({"model": model.fingerprint})
    with Scratch() as scratch:
        path = scratch.folder / "expected_j.parquet"
        rows = _write(path, schema, tables)
        Store(output).put_file(FILE, path)
    return rows


def _stored(video: CommittedVideo, model: QualityModel) -> pa.Table:
    table = expected(video, model)
    identity = pa.repeat(video.identity, len(table))
    return table.append_column(_IDENTITY, identity).select(EXPECTED.names)


def _write(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> int:
    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for group in _groups(tables):
            writer.write_table(group.cast(schema), row_group_size=_ROWS_PER_GROUP)
            rows += len(group)
    return rows


def _groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows, some of `_ROWS_PER_GROUP` together: small videos do not make small row groups."""
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        if sum(map(len, held)) >= _ROWS_PER_GROUP:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)
