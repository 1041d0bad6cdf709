"""Expected J beside the tables of an output."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.reviewing.expected import EXPECTED, FILE, expected, write_expected
from jobs.reviewing.quality import load_model
from jobs.reviewing.statistics import OBJECT_FRAMES
from pipeline.errors import InvalidOutput
from pipeline.output.labels import committed_videos
from tests.jobs.reviewing.made import box, put

MODEL = load_model()


def two_videos(output: str) -> None:
    put(output, "b 10", [box(2, 2, 5, 5)] * 4, identity="b" * 32)
    put(output, "b 9 [x]", [box(2, 2, 5, 5), box(3, 2, 5, 5)])


def test_what_is_expected_stands_beside_the_tables(output: str) -> None:
    two_videos(output)
    before = {path: path.read_bytes() for path in Path(output).rglob("*.parquet")}
    assert write_expected(output, MODEL) == 6
    assert {path: path.read_bytes() for path in before} == before
    table = pq.read_table(Path(output) / FILE)
    assert table["video_id"].to_pylist() == ["b 9 [x]"] * 2 + ["b 10"] * 4
    assert table["identity"].unique().to_pylist() == ["a" * 32, "b" * 32]
    assert table["expected_j"].to_pylist()[::2] == pytest.approx([1, 1, table["expected_j"][4].as_py()])
    one = expected(committed_videos(output)["b 10"], MODEL)
    assert one["expected_j"].to_pylist() == table["expected_j"].to_pylist()[2:]
    assert one.column_names == [*OBJECT_FRAMES.names, "expected_j"]


def test_it_is_a_table_of_its_own_schema_that_names_its_model(output: str) -> None:
    two_videos(output)
    write_expected(output, MODEL)
    table = pq.read_table(Path(output) / FILE)
    assert table.schema.equals(EXPECTED) and len(table) == 6
    assert table.schema.metadata[b"model"].decode() == MODEL.fingerprint


def test_it_is_replaced(output: str) -> None:
    put(output, "v", [box(2, 2, 5, 5)] * 2)
    assert [write_expected(output, MODEL), write_expected(output, MODEL)] == [2, 2]


def test_an_output_without_a_video(output: str) -> None:
    put(output, "v", [np.zeros((20, 30), np.uint8)] * 2, prompts={})
    assert write_expected(output, MODEL) == 0
    assert len(pq.read_table(Path(output) / FILE)) == 0


def test_a_folder_that_is_not_ours(tmp_path: Path) -> None:
    with pytest.raises(InvalidOutput):
        write_expected(str(tmp_path), MODEL)
