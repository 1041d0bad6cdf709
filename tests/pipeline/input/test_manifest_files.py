"""Manifests as spreadsheets and data frames write them, and what is said of those that cannot be read."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InvalidManifest
from pipeline.input.manifest import PromptSource, VideoTask, read_manifest

FLAT = {"video_id": "a", "video_uri": "a.mp4", "mask_uri": "a.png", "mask_frame": 3}
PROMPTS = [{"frame_index": 3, "mask_uri": "a.png", "object_ids": [2, 7]}, {"frame_index": 5, "mask_uri": "b.png"}]


def write_parquet(path: Path, rows: list[dict[str, Any]], schema: pa.Schema | None = None) -> str:
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    return str(path)


def write_csv(path: Path, text: str) -> str:
    path.write_bytes(text.encode())
    return str(path)


def message(url: str) -> str:
    with pytest.raises(InvalidManifest) as caught:
        read_manifest(url)
    return str(caught.value)


class TestCsv:
    def test_flat_columns_are_one_prompt(self, tmp_path: Path) -> None:
        """As a spreadsheet on Windows writes it: a mark at the start, CRLF, a cell with a comma."""
        text = '\ufeffvideo_id,video_uri,mask_uri,mask_frame,end_frame\r\n007,"a,b.mp4",a.png,3,\r\n'
        (task,) = read_manifest(write_csv(tmp_path / "v.csv", text))
        assert task == VideoTask(
            video_id="007",
            video_uri=f"file://{tmp_path}/a,b.mp4",
            prompts=(PromptSource(frame_index=3, mask_uri=f"file://{tmp_path}/a.png"),),
        )

    def test_prompts_and_metadata_are_json(self, tmp_path: Path) -> None:
        cells = [json.dumps(PROMPTS), json.dumps({"classes": {"2": "car"}})]
        quoted = ",".join('"' + cell.replace('"', '""') + '"' for cell in cells)
        text = f"video_id,video_uri,prompts,metadata,num_frames\na,a.mp4,{quoted},90\n"
        (task,) = read_manifest(write_csv(tmp_path / "v.csv", text))
        assert [(prompt.frame_index, prompt.object_ids) for prompt in task.prompts] == [(3, (2, 7)), (5, None)]
        assert (task.metadata, task.num_frames) == ({"classes": {"2": "car"}}, 90)

    def test_rows_are_counted_as_an_editor_does(self, tmp_path: Path) -> None:
        text = (
            'video_id,video_uri,mask_uri,mask_frame\na,a.mp4,a.png,0\n\n"two\nlines",b.mp4,b.png,0\nc,c.mp4,c.png,x\n'
        )
        found = message(write_csv(tmp_path / "v.csv", text))
        assert 'row 6: mask_frame is "x", expected a whole number' in found and "1 fault;" in found

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("video_id,vidoe_uri,mask_uri,mask_frame\na,a,a.png,0\n", "unknown column 'vidoe_uri'; did you mean"),
            ("video_id,video_uri,video_id\na,a,b\n", "column 'video_id' stands twice"),
            ("video_id,video_uri,mask_uri,mask_frame\na,a,b.mp4,a.png,0\n", "row 2: has 5 cells under 4 columns"),
            ("video_id,video_uri,mask_uri,mask_frame\na,a.mp4\n", "row 2: has no prompt"),
            ("video_id,video_uri,prompts\na,a.mp4,[{]\n", 'row 2: prompts is "[{]", expected a list'),
            ("video_id,video_uri,mask_uri,mask_frame\n", "has no rows"),
            ("", "has no rows"),
            ('video_id,video_uri\n"a,b', "is no csv"),
        ],
    )
    def test_what_is_wrong_is_named(self, tmp_path: Path, text: str, expected: str) -> None:
        assert expected in message(write_csv(tmp_path / "v.csv", text))

    def test_an_unknown_column_is_named_once(self, tmp_path: Path) -> None:
        text = "video_id,video_uri,mask_uri,mask_frame,colour\n" + "".join(f"{n},a,a.png,0,red\n" for n in range(5))
        assert message(write_csv(tmp_path / "v.csv", text)).count("unknown column 'colour'") == 1

    def test_text_that_is_not_utf_8_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "v.csv").write_bytes(b"video_id,video_uri\n\xff,a\n")
        assert "v.csv: is no csv" in message(str(tmp_path / "v.csv"))


class TestParquet:
    def test_flat_columns_are_one_prompt(self, tmp_path: Path) -> None:
        (task,) = read_manifest(write_parquet(tmp_path / "v.parquet", [FLAT]))
        assert task.prompts == (PromptSource(frame_index=3, mask_uri=f"file://{tmp_path}/a.png"),)
        assert task.row == 1

    def test_prompts_are_structs_whose_missing_fields_are_null(self, tmp_path: Path) -> None:
        row = {"video_id": "a", "video_uri": "a.mp4", "prompts": PROMPTS, "metadata": {"scene": 4, "weather": None}}
        (task,) = read_manifest(write_parquet(tmp_path / "v.parquet", [row]))
        assert [(prompt.frame_index, prompt.object_ids) for prompt in task.prompts] == [(3, (2, 7)), (5, None)]
        assert task.metadata == {"scene": 4}

    def test_numbers_beside_gaps_are_floats(self, tmp_path: Path) -> None:
        """As pandas writes them."""
        rows = [FLAT | {"end_frame": 9.0}, FLAT | {"video_id": "b", "end_frame": float("nan")}]
        assert [task.end_frame for task in read_manifest(write_parquet(tmp_path / "v.parquet", rows))] == [9, None]

    @pytest.mark.parametrize(
        ("rows", "expected"),
        [
            ([FLAT, FLAT | {"video_id": None}], "row 2: video_id is missing"),
            ([FLAT | {"end_frame": 9.5}], "row 1: end_frame is 9.5, expected a whole number"),
            ([FLAT | {"mask_frame": "3"}], 'row 1: mask_frame is "3", expected a whole number'),
            ([FLAT | {"video_id": b"a"}], "row 1: video_id is"),
            ([FLAT | {"metadata": "{"}], 'row 1: metadata is "{", expected a JSON object'),
            ([FLAT | {"colour": "red"}], "unknown column 'colour'"),
        ],
    )
    def test_what_is_wrong_is_named(self, tmp_path: Path, rows: list[dict[str, Any]], expected: str) -> None:
        assert expected in message(write_parquet(tmp_path / "v.parquet", rows))

    @pytest.mark.parametrize("data", [b"", b"no parquet", b"PAR1 and no more PAR1"])
    def test_another_file_is_refused(self, tmp_path: Path, data: bytes) -> None:
        (tmp_path / "v.parquet").write_bytes(data)
        assert "v.parquet: is no parquet" in message(str(tmp_path / "v.parquet"))

    def test_damaged_pages_are_refused(self, tmp_path: Path) -> None:
        path = Path(write_parquet(tmp_path / "v.parquet", [FLAT | {"video_id": f"v{n}"} for n in range(5000)]))
        data = bytearray(path.read_bytes())
        data[8 : len(data) // 2] = bytes(len(data) // 2 - 8)
        path.write_bytes(data)
        assert "v.parquet: is no parquet" in message(str(path))
