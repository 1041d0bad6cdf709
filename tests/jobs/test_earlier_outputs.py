"""An OUTPUT of an earlier schema version: whoever reads it still can, and a further run goes on in it."""

import json
import shutil
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from jobs.status import read_status
from pipeline.output import tables
from pipeline.output.labels import committed_video
from pipeline.output.schema import SCHEMA_VERSION, SCHEMAS
from pipeline.output.verify import verify
from pipeline.run.driver import run
from pipeline.run.pool import LocalPool
from pipeline.storage.store import Store
from tests.jobs.exports.outputs import exported
from tests.pipeline.corpus import Corpus, config_for, digests, expected_masks, write_corpus
from tests.pipeline.output.earlier import COLUMNS, put_back


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def today(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three of the four videos."""
    folder = tmp_path_factory.mktemp("made") / "out"
    config = config_for(folder)
    run([task for task in corpus.tasks if task.video_id != "span"], config, LocalPool(config))
    return folder


@pytest.fixture(scope="module")
def by_version(today: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The same as earlier versions wrote them."""
    folders = {version: tmp_path_factory.mktemp(f"version-{version}") / "out" for version in COLUMNS}
    for version, folder in folders.items():
        shutil.copytree(today, folder)
        put_back(Store(str(folder)), version)
    return folders


@pytest.fixture(scope="module")
def made(by_version: dict[int, Path]) -> Path:
    """That of the first version."""
    return by_version[1]


@pytest.fixture
def output(made: Path, tmp_path: Path) -> str:
    """One that may be written to."""
    shutil.copytree(made, tmp_path / "out")
    return str(tmp_path / "out")


def test_today_is_newer() -> None:
    assert max(COLUMNS) + 1 == SCHEMA_VERSION


@pytest.mark.parametrize("version", COLUMNS)
@pytest.mark.parametrize("name", ["masks", "frames", "videos"])
def test_it_is_one_of_that_version(by_version: dict[int, Path], name: str, version: int) -> None:
    for path in (by_version[version] / name).glob("*.parquet"):
        assert pq.read_schema(path).names == COLUMNS[version][name]
        assert pq.read_schema(path).metadata[b"schema_version"] == str(version).encode()


@pytest.mark.parametrize("version", COLUMNS)
@pytest.mark.parametrize("name", ["masks", "frames", "videos"])
def test_tables_have_the_columns_of_today(by_version: dict[int, Path], name: str, version: int) -> None:
    table = tables.open(str(by_version[version]), name).to_table()
    assert table.schema.equals(SCHEMAS[name], check_metadata=True)
    new = set(SCHEMAS[name].names) - set(COLUMNS[version][name])
    assert (new or version > 1) and all(table[column].null_count == len(table) > 0 for column in new)


def test_the_second_is_whole_and_gone_on_with(by_version: dict[int, Path], corpus: Corpus, tmp_path: Path) -> None:
    shutil.copytree(by_version[2], tmp_path / "out")
    assert verify(Store(str(tmp_path / "out"))).found == ()
    config = config_for(tmp_path / "out")
    summary = run(corpus.tasks, config, LocalPool(config))
    assert (summary.complete, summary.skipped, summary.failed) == (1, 3, {})
    rows = tables.open(config.output, "masks").to_table(columns=["video_id", "backward"]).to_pylist()
    assert {(row["video_id"] == "span", row["backward"]) for row in rows} == {(True, False), (False, None)}


def test_status_counts_its_videos(made: Path) -> None:
    status = read_status(str(made))
    assert (status.videos, status.frames, status.needs_prompt) == ({"complete": 3}, 25, {})


def test_verify_finds_nothing_wrong(made: Path) -> None:
    assert verify(Store(str(made))).found == ()


def test_its_masks_are_drawn(made: Path) -> None:
    (first,) = committed_video(str(made), "walk").labels([0])
    assert set(first.labels.flat) == {0, 1}


@pytest.mark.parametrize("name", ["hf", "coco", "davis"])
def test_it_is_exported(made: Path, tmp_path: Path, name: str) -> None:
    assert exported(str(made), name, tmp_path / "to").frames == 25


def test_a_further_run_does_what_is_missing_alone(corpus: Corpus, output: str) -> None:
    before = digests(output)
    config = config_for(output)
    summary = run(corpus.tasks, config, LocalPool(config))
    assert (summary.complete, summary.skipped, summary.failed) == (1, 3, {})
    after = digests(output)
    assert before.items() < after.items()
    masks = tables.open(output, "masks").to_table().to_pylist()
    assert {(row["video_id"], row["frame_index"], row["object_id"]) for row in masks} == expected_masks()
    shown = tables.open(output, "frames").to_table().to_pylist()
    assert {row["video_id"] for row in shown if row["shot_cut"] is not None} == {"span"}
    assert json.loads(Store(output).get("_vos-batch.json"))["schema_version"] == SCHEMA_VERSION
    assert verify(Store(output)).found == ()
    again = run(corpus.tasks, config, LocalPool(config))
    assert (again.complete, again.skipped) == (0, 4)


def test_plain_readers_see_old_and_new_files(corpus: Corpus, output: str) -> None:
    """As docs/events.md has it."""
    config = config_for(output)
    run(corpus.tasks, config, LocalPool(config))
    rows = len(expected_masks())
    files = f"{output}/masks/*.parquet"
    found = duckdb.sql(f"select count(*), count(event) from read_parquet('{files}', union_by_name = true)").fetchall()
    assert found[0][0] == rows
    assert pl.scan_parquet(files, missing_columns="insert", extra_columns="ignore").collect().height == rows
    assert len(pd.read_parquet(f"{output}/masks")) == rows


def test_a_lost_table_of_videos_is_rebuilt_from_its_commits(output: str) -> None:
    for path in Path(output, "videos").iterdir():
        path.unlink()
    rows = tables.open(output, "videos").to_table()
    assert rows.num_rows == 3 and rows["needs_prompt_frame"].null_count == 3
