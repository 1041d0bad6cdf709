import json
from pathlib import Path

import datasets
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from jobs.exports.formats import hf
from pipeline.output import rle
from pipeline.output.schema import SCHEMAS
from tests.jobs.exports.outputs import FOLDER, UNICODE, Output, Truth, exported, same


@pytest.fixture(scope="module")
def folder(output: Output, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("hf") / "to"
    exported(output, "hf", to, manifest=output.manifest, classes=True)
    return to


def masks_of(rows: list[dict[str, object]]) -> Truth:
    return {
        (row["video_id"], row["frame_index"], row["object_id"]): rle.decode(row["rle"], row["height"], row["width"])  # type: ignore[arg-type, misc]
        for row in rows
        if row["present"]
    }


def test_datasets_opens_every_table(folder: Path, output: Output, tmp_path: Path) -> None:
    masks = datasets.load_dataset(str(folder), "masks", split="train", cache_dir=str(tmp_path))
    assert same(masks_of(list(masks)), output.truth)
    default = datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path))
    assert default.column_names == masks.column_names
    frames = datasets.load_dataset(str(folder), "frames", split="train", cache_dir=str(tmp_path))
    assert len(frames) == 10
    videos = datasets.load_dataset(str(folder), "videos", split="train", cache_dir=str(tmp_path))
    assert {row["video_id"]: row["class_names"] for row in videos} == {
        FOLDER: ["car", "object", "pedestrian"],
        UNICODE: ["pedestrian"],
    }


def test_duckdb_polars_and_pandas_read_the_same(folder: Path, output: Output) -> None:
    rows = duckdb.sql(f"select * from '{folder}/masks/*.parquet'").to_arrow_table().to_pylist()
    assert same(masks_of(rows), output.truth)
    assert same(masks_of(pl.scan_parquet(folder / "masks/*.parquet").collect().to_dicts()), output.truth)
    assert same(masks_of(pd.read_parquet(folder / "masks").to_dict("records")), output.truth)


def test_absent_objects_have_rows(folder: Path) -> None:
    absent = pq.read_table(folder / "masks", filters=[("present", "==", False)]).to_pylist()
    assert [(row["frame_index"], row["object_id"]) for row in absent] == [(3, 300), (4, 300)]
    assert absent[0]["class_name"] == "pedestrian"


def test_columns_are_those_of_the_tables(folder: Path) -> None:
    masks = pq.read_schema(folder / "masks/00000.parquet")
    assert masks.names == [*SCHEMAS["masks"].names, "class_name"]
    assert masks.field("uncertainty").metadata == SCHEMAS["masks"].field("uncertainty").metadata
    assert pq.read_schema(folder / "frames/00000.parquet").names == SCHEMAS["frames"].names


def test_files_are_made_for_readers(folder: Path) -> None:
    about = pq.ParquetFile(folder / "masks/00000.parquet").metadata.row_group(0)
    columns = {about.column(index).path_in_schema: about.column(index) for index in range(about.num_columns)}
    assert not columns["rle"].is_stats_set
    assert "RLE_DICTIONARY" not in columns["rle"].encodings
    assert columns["frame_index"].is_stats_set
    assert columns["frame_index"].has_offset_index
    assert [columns[name].path_in_schema for name in hf._SORTED_BY["masks"]] == [
        list(columns)[one.column_index] for one in about.sorting_columns
    ]


def test_many_rows_are_several_files(output: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hf, "_ROWS_PER_FILE", 5)
    monkeypatch.setattr(hf, "_ROWS_PER_GROUP", 3)
    exported(output, "hf", tmp_path / "to")
    rows = [pq.read_metadata(path).num_rows for path in sorted((tmp_path / "to/masks").iterdir())]
    assert len(rows) > 2
    assert sum(rows) == 20
    assert same(masks_of(pq.read_table(tmp_path / "to/masks").to_pylist()), output.truth)


def test_rows_and_frames_are_selected(output: Output, tmp_path: Path) -> None:
    written = exported(output, "hf", tmp_path / "to", every=2, max_uncertainty=0.05)
    rows = pq.read_table(tmp_path / "to/masks").to_pylist()
    # Of each frame the first object alone is that certain.
    assert {(row["video_id"], row["frame_index"], row["object_id"]) for row in rows} == {
        (FOLDER, 0, 1), (FOLDER, 2, 1), (FOLDER, 4, 1), (UNICODE, 2, 1), (UNICODE, 4, 1)
    }  # fmt: skip
    assert (written.frames, written.object_frames, written.left_out) == (5, 5, 4)
    marker = json.loads((tmp_path / "to/_vos-batch-export.json").read_text())
    assert marker["written"]["left_out"] == 4
    assert np.isfinite([row["score"] for row in rows]).all()
