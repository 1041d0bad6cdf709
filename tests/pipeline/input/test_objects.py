"""Objects that a manifest gives by themselves: read the same from every format, faults named with row and place."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pycocotools import mask as coco

from pipeline.errors import InvalidManifest, InvalidPrompt
from pipeline.input.manifest import PromptSource, VideoTask, read_manifest, write_manifest
from pipeline.input.objects import PromptObject, fingerprint

BOX = {"object_id": 3, "box": [1, 2, 30, 40.5]}
POLYGONS = {"object_id": 1, "polygons": [[0, 0, 10, 0, 10, 9.25], [20, 20, 30, 20, 30, 30, 20, 30]]}
RLE = {"object_id": 300, "rle": {"size": [4, 3], "counts": [2, 3, 7]}}


def row(*objects: object, **prompt: object) -> dict[str, Any]:
    return {"video_id": "a", "video_uri": "a.mp4", "prompts": [{"frame_index": 5, "objects": list(objects), **prompt}]}


def written(folder: Path, values: dict[str, Any]) -> str:
    path = folder / "videos.jsonl"
    path.write_text(json.dumps(values))
    return str(path)


def objects_of(url: str) -> tuple[PromptObject, ...]:
    ((prompt,),) = (task.prompts for task in read_manifest(url))
    assert prompt.mask_uri is None
    return prompt.objects


def test_every_kind_arrives_in_the_order_of_the_list(tmp_path: Path) -> None:
    found = objects_of(written(tmp_path, row(BOX, POLYGONS, RLE)))
    assert [(one.object_id, one.kind) for one in found] == [(3, "box"), (1, "polygons"), (300, "rle")]
    assert [one.value for one in found[:2]] == [BOX["box"], POLYGONS["polygons"]]
    assert found[2].value == {"size": [4, 3], "counts": coco.encode(np.asfortranarray(mask()))["counts"].decode()}


def mask() -> "np.ndarray[Any, np.dtype[np.uint8]]":
    labels = np.zeros(12, np.uint8)
    labels[2:5] = 1
    return labels.reshape(3, 4).T


def test_a_prompt_speaks_for_its_objects_and_for_named_ones_that_are_not_there(tmp_path: Path) -> None:
    (task,) = read_manifest(written(tmp_path, row(BOX, POLYGONS)))
    assert task.prompts[0].known_ids == (1, 3)
    (task,) = read_manifest(written(tmp_path, row(BOX, POLYGONS, object_ids=[9, 3, 1])))
    assert task.prompts[0].known_ids == (1, 3, 9)


def test_csv_holds_them_as_json(tmp_path: Path) -> None:
    values = row(BOX, POLYGONS, RLE)
    cell = json.dumps(values["prompts"]).replace('"', '""')
    (tmp_path / "v.csv").write_text(f'video_id,video_uri,prompts\na,a.mp4,"{cell}"\n')
    assert objects_of(str(tmp_path / "v.csv")) == objects_of(written(tmp_path, values))


@pytest.mark.parametrize("as_text", [True, False])
def test_parquet_holds_them_as_structs_or_json(tmp_path: Path, as_text: bool) -> None:
    """Numbers of one list are all floats in Parquet, and keys that an object lacks are null."""
    values = row(BOX, POLYGONS, RLE)
    given = values | {"prompts": json.dumps(values["prompts"])} if as_text else values
    pq.write_table(pa.Table.from_pylist([given]), tmp_path / "v.parquet")
    assert objects_of(str(tmp_path / "v.parquet")) == objects_of(written(tmp_path, values))


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_what_is_written_is_read_back(tmp_path: Path, suffix: str) -> None:
    objects = (
        PromptObject.of_box(3, (1.5, 2, 30, 40)),
        PromptObject.of_polygons(1, [[0, 0.25, 10, 0, 10, 9]]),
        PromptObject.of_rle(7, {"size": [4, 3], "counts": [2, 3, 7]}),
    )
    masks = PromptSource(frame_index=0, mask_uri=f"file://{tmp_path}/m.png")
    drawn = PromptSource(frame_index=9, objects=objects, object_ids=(1, 3, 7, 8))
    tasks = [VideoTask(video_id="a", video_uri="s3://b/a.mp4", prompts=(masks, drawn))]
    write_manifest(str(tmp_path / f"v.{suffix}"), tasks)
    assert read_manifest(str(tmp_path / f"v.{suffix}")) == tasks


def test_a_fingerprint_is_of_the_content_and_its_order(tmp_path: Path) -> None:
    first = objects_of(written(tmp_path, row(BOX, RLE)))
    text = coco.encode(np.asfortranarray(mask()))["counts"].decode()
    same = objects_of(
        written(
            tmp_path, row({"object_id": 3, "box": [1.0, 2, 30, 40.5]}, RLE | {"rle": {"size": [4, 3], "counts": text}})
        )
    )
    assert fingerprint(first) == fingerprint(same)
    others = [
        row(RLE, BOX),
        row(BOX),
        row(BOX | {"object_id": 4}, RLE),
        row(BOX | {"box": [1, 2, 30, 40]}, RLE),
        row(BOX, RLE | {"rle": {"size": [4, 3], "counts": [2, 4, 6]}}),
        row(BOX, RLE | {"rle": {"size": [3, 4], "counts": [2, 3, 7]}}),
    ]
    found = {fingerprint(objects_of(written(tmp_path, other))) for other in others}
    assert len(found) == len(others) and fingerprint(first) not in found


def changed(one: dict[str, Any], **keys: object) -> dict[str, Any]:
    return {name: value for name, value in {**one, **keys}.items() if value is not None}


FAULTS: list[tuple[dict[str, Any], str]] = [
    (row(), "prompts[0]: objects is [], expected a list of at least one JSON object"),
    (row(3), "prompts[0]: objects is [3], expected a list of at least one JSON object"),
    (row(BOX, mask_uri="m.png"), "prompts[0]: has both mask_uri and objects; keep one of them"),
    (row(BOX, object_ids=[1]), "prompts[0]: object_ids leaves out [3] of objects; name them too"),
    (row(BOX, POLYGONS, BOX), "prompts[0]: object_id 3 stands twice in objects; give each object once"),
    (row(changed(BOX, bbox=[1])), "objects[0]: unknown column 'bbox'; did you mean 'box'?"),
    (row(changed(BOX, object_id=None)), "objects[0]: object_id is null, expected an object id from 1"),
    (row(changed(BOX, object_id=0)), "objects[0]: object_id is 0, expected an object id"),
    (row(changed(BOX, object_id=255)), "objects[0]: object_id is 255, expected an object id"),
    (row(changed(BOX, object_id="3")), 'objects[0]: object_id is "3", expected an object id'),
    (row(changed(BOX, box=None)), "objects[0]: has no shape; give rle, polygons, box"),
    (row(POLYGONS, changed(BOX, rle=RLE["rle"])), "objects[1]: has rle and box; keep one"),
    (row(changed(BOX, box=[1, 2, 3])), "objects[0]: box is [1, 2, 3], expected [x, y, width, height]"),
    (row(changed(BOX, box="1,2,3,4")), 'box is "1,2,3,4", expected [x, y, width, height]'),
    (row(changed(BOX, box=[1, 2, 3, "4"])), 'box holds "4", expected pixels as numbers'),
    (row(changed(BOX, box=[1, 2, 3, True])), "box holds true, expected pixels"),
    (row(changed(BOX, box=[1, 2, 3, float("nan")])), "box holds NaN, expected pixels"),
    (row(changed(BOX, box=[1, 2, 1e12, 4])), "box holds 1000000000000.0, expected pixels"),
    (row(changed(BOX, box=[9, 9, -3, 4])), "width -3 and height 4: give x, y, width and height, not two corners"),
    (row(changed(BOX, box=[9, 9, 3, 0])), "width 3 and height 0"),
    (row(changed(POLYGONS, polygons=[])), "polygons is [], expected a list of polygons"),
    (row(changed(POLYGONS, polygons=[0, 0, 9, 0])), "polygons is [0, 0, 9, 0], expected a list of polygons"),
    (row(changed(POLYGONS, polygons=[[0, 0, 9, 9]])), "polygons[0] has 2 points and encloses nothing: give at least 3"),
    (row(changed(POLYGONS, polygons=[[0, 0]])), "polygons[0] has 1 point and encloses nothing"),
    (row(changed(POLYGONS, polygons=[[0, 0, 1, 1, 2, 2, 3]])), "polygons[0] has 7 numbers, expected pairs x, y"),
    (row(changed(POLYGONS, polygons=[[[0, 0], [1, 1], [2, 2], [2, 3], [0, 1], [1, 0]]])), "polygons[0] holds [0, 0]"),
    (row(changed(RLE, rle="abc")), 'rle is "abc", expected {size: [height, width], counts: ...}'),
    (row(changed(RLE, rle={"counts": [12]})), 'rle is {"counts": [12]}, expected'),
    (row(changed(RLE, rle={"size": [4], "counts": [12]})), "rle: size is [4], expected [height, width]"),
    (row(changed(RLE, rle={"size": [4, 0], "counts": [12]})), "rle: size is [4, 0], expected"),
    (row(changed(RLE, rle={"size": [4, 3], "counts": [11]})), "rle: its counts make 11 pixels, but size says 12"),
    (row(changed(RLE, rle={"size": [4, 3], "counts": "`"})), "rle: counts ends in the middle of a number"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "expected"), FAULTS)
def test_a_fault_is_named_with_its_row_and_place(tmp_path: Path, values: dict[str, Any], expected: str) -> None:
    with pytest.raises(InvalidManifest) as caught:
        read_manifest(written(tmp_path, values))
    assert "1 fault;" in str(caught.value) and "row 1: prompts[0]: " in str(caught.value)
    assert expected in str(caught.value)


def test_all_faults_of_a_prompt_come_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidManifest, match="3 faults"):
        read_manifest(written(tmp_path, row(changed(BOX, box=[1]), changed(POLYGONS, object_id=0), {"object_id": 9})))


def test_programs_get_the_same_words() -> None:
    with pytest.raises(InvalidPrompt, match=r"^polygons\[0\] has 2 points"):
        PromptObject.of_polygons(1, [[0, 0, 1, 1]])
