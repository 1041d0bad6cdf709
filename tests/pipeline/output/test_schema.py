from datetime import UTC, datetime

import pyarrow as pa
import pytest

from pipeline.output.schema import FRAMES, MASKS, SCHEMA_VERSION, SCHEMAS, VIDEOS, conform, to_table
from tests.pipeline.made_commits import make_commit

FAILURE = {
    "run_id": "r1",
    "video_id": "v",
    "row": 3,
    "attempt": 1,
    "cause": "UnreadableVideo",
    "message": "no frame",
    "frame_index": None,
    "retryable": False,
    "trace": None,
    "worker": None,
    "host": None,
    "failed_at": "2026-01-02T03:04:05+00:00",
}


def test_columns_are_those_of_the_specification() -> None:
    assert " ".join(MASKS.names) == (
        "video_id frame_index timestamp_us object_id height width rle area bbox_x bbox_y bbox_w bbox_h score "
        "uncertainty present approximate event backward"
    )
    assert " ".join(FRAMES.names) == (
        "video_id frame_index frame_name timestamp_us uncertainty_mean uncertainty_p50 uncertainty_p95 "
        "uncertainty_max uncertain_fraction margin entropy num_objects bank_size merged appended evicted dropped "
        "bank_protected_share prompted damaged shot_cut"
    )


def test_only_documented_columns_may_be_null() -> None:
    def nullable(schema: pa.Schema) -> set[str]:
        return {field.name for field in schema if field.nullable}

    box = {"bbox_x", "bbox_y", "bbox_w", "bbox_h"}
    assert nullable(MASKS) == {"timestamp_us", "score", "uncertainty", "approximate", "event", "backward"} | box
    files = {f"{table}_{what}" for table in ("masks", "frames") for what in ("file", "bytes", "sha256")}
    assert nullable(VIDEOS) == {
        "needs_prompt_frame", "frames_expected", "fps", "resumed_from", "gpu", "driver", *files
    }  # fmt: skip
    assert nullable(SCHEMAS["failures"]) == {"frame_index", "worker", "host", "trace"}


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_column_says_what_it_is(name: str) -> None:
    assert all(field.metadata[b"description"] for field in SCHEMAS[name])
    assert SCHEMAS[name].metadata[b"schema_version"] == str(SCHEMA_VERSION).encode()


def test_pixels_and_times_carry_units() -> None:
    units = {field.name: field.metadata.get(b"unit") for schema in (MASKS, FRAMES, VIDEOS) for field in schema}
    assert units["area"] == units["bbox_w"] == units["height"] == b"px"
    assert units["timestamp_us"] == b"us"
    assert units["seconds_network"] == b"s"
    assert units["entropy"] == b"nats"


def test_deterministic_columns_leave_out_run_machine_and_clock() -> None:
    marked = {field.name for field in VIDEOS if field.metadata.get(b"deterministic") == b"true"}
    assert {"video_id", "status", "needs_prompt_frame", "frames_decoded", "objects", "checkpoint", "identity"} <= marked
    assert not marked & {"run_id", "host", "gpu", "committed_at", "attempts", "resumed_from", "code_version"}
    assert not any(name.startswith("seconds_") for name in marked)


def test_to_table_takes_times_as_text_or_values() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    table = to_table("failures", [FAILURE, {**FAILURE, "failed_at": moment}])
    assert table["failed_at"].to_pylist() == [moment, moment]
    assert table.schema.equals(SCHEMAS["failures"], check_metadata=True)


def test_to_table_without_rows_has_the_schema() -> None:
    assert to_table("videos", []).schema.equals(VIDEOS, check_metadata=True)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({**FAILURE, "colour": 1}, "colour"),
        ({key: FAILURE[key] for key in FAILURE if key != "cause"}, "cause"),
        ({**FAILURE, "cause": None}, "cause must not be null"),
    ],
)
def test_to_table_refuses_other_rows(row: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        to_table("failures", [row])


def test_rows_of_an_earlier_version_have_nulls_for_what_it_did_not_know() -> None:
    row = make_commit("clip").row
    before = to_table("videos", [row]).select(
        ["video_id", *[n for n in VIDEOS.names if n not in ("video_id", "driver")]]
    )
    table = conform("videos", before)
    assert table.schema.equals(VIDEOS, check_metadata=True)
    assert table["driver"].to_pylist() == [None] and table["video_id"].to_pylist() == ["clip"]
    with pytest.raises(pa.ArrowInvalid, match="identity"):
        conform("videos", before.drop_columns(["identity"]))
