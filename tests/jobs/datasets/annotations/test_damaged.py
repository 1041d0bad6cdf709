"""Whatever stands in a file of annotations: it is read, or refused with the file's name."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.datasets.annotations.build import tasks_of
from jobs.exports.formats.label_studio import brush_runs
from pipeline.errors import InvalidInput
from tests.jobs.datasets.annotations.prompted import SIZE, block, pictures, plain_run_lengths, run_lengths

MASK = block(2, 3, 9, 12)
SQUARE = [10, 5, 20, 5, 20, 15, 10, 15]
SIZES = {"height": SIZE[0], "width": SIZE[1]}
REGION = {"original_height": SIZE[0], "original_width": SIZE[1]}
CONTENTS: dict[str, Any] = {
    "coco": {
        "images": [{"id": 1, "file_name": "walk/0.png", "video_id": 1, "frame_index": 0, **SIZES}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [SQUARE], "track_id": 3},
            {
                "id": 2,
                "image_id": 1,
                "category_id": 1,
                "segmentation": run_lengths(MASK),
                "attributes": {"track_id": 4},
            },
            {"id": 3, "image_id": 1, "category_id": 1, "bbox": [25, 5, 10, 10], "track_id": 5},
        ],
        "categories": [{"id": 1, "name": "car"}],
        "videos": [{"id": 1, "name": "walk"}],
    },
    "youtube-vis": {
        "videos": [{"id": 1, "file_names": ["walk/0.png", "walk/1.png"], **SIZES}],
        "annotations": [
            {"id": 1, "video_id": 1, "category_id": 1, "segmentations": [plain_run_lengths(MASK), None]},
            {"id": 2, "video_id": 1, "category_id": 1, "bboxes": [None, [1, 2, 3, 4]]},
        ],
        "categories": [{"id": 1, "name": "car"}],
    },
    "label-studio": [
        {
            "id": 1,
            "data": {"image": "walk/0.png", "video_id": "walk", "frame_index": 0},
            "annotations": [{"was_cancelled": True, "result": []}],
            "predictions": [
                {
                    "score": 0.5,
                    "result": [
                        {
                            "id": "a",
                            "type": "brushlabels",
                            **REGION,
                            "value": {"rle": brush_runs(MASK).tolist(), "brushlabels": ["car"]},
                            "meta": {"object_id": 3},
                        },
                        {"id": "b", "type": "polygon", **REGION, "value": {"points": [[40, 40], [60, 40], [60, 60]]}},
                        {
                            "id": "c",
                            "type": "rectanglelabels",
                            **REGION,
                            "value": {
                                "x": 70,
                                "y": 70,
                                "width": 9,
                                "height": 9,
                                "rotation": 5,
                                "rectanglelabels": ["a"],
                            },
                        },
                    ],
                },
                {"score": 0.2, "result": []},
            ],
        }
    ],
    "labelme": {
        "shapes": [
            {"label": "car", "points": [[10, 5], [20, 5], [20, 15]], "shape_type": "polygon", "group_id": 1},
            {"label": "car", "points": [[30, 20], [40, 29]], "shape_type": "rectangle", "group_id": 2},
        ],
        "imagePath": "0.png",
        "imageHeight": SIZE[0],
        "imageWidth": SIZE[1],
    },
    "sa-v": {
        "video_id": "walk",
        "video_frame_count": 2.0,
        "video_height": float(SIZE[0]),
        "video_width": float(SIZE[1]),
        "masklet": [[run_lengths(MASK)], [plain_run_lengths(MASK)]],
        "masklet_id": [7],
        "first_frame": 0,
        "every": 1,
    },
}
PLACES = {"labelme": "walk/0.json", "sa-v": "walk_manual.json"}
WRONG = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 300),
    st.floats(),
    st.sampled_from(["", "x", "../x", "3", "\x00", "walk/0.png", "\ud800"]),
    st.sampled_from([[], {}, [[]], [None], {"id": 1}, [[1, 2]], 1 << 70]),
)


def paths(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands, from the outermost in."""
    keys = value if isinstance(value, dict) else range(min(len(value), 6)) if isinstance(value, list) else ()
    for key in keys:
        yield (*above, key)
        yield from paths(value[key], (*above, key))


def replaced(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(content)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


@pytest.mark.parametrize("layout", CONTENTS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_wrong_value_anywhere(tmp_path: Path, layout: str, data: st.DataObject) -> None:
    content = CONTENTS[layout]
    path = data.draw(st.sampled_from(list(paths(content))))
    changed = replaced(content, path, data.draw(WRONG))
    if not (tmp_path / "walk").exists():
        pictures(tmp_path / "walk", "0.png", "1.png")
    (tmp_path / PLACES.get(layout, "labels.json")).write_text(json.dumps(changed))
    try:
        assert tasks_of(layout, str(tmp_path))
    except InvalidInput as error:
        assert str(tmp_path) in str(error)


@pytest.mark.parametrize("layout", CONTENTS)
def test_as_they_are_they_are_read(tmp_path: Path, layout: str) -> None:
    pictures(tmp_path / "walk", "0.png", "1.png")
    (tmp_path / PLACES.get(layout, "labels.json")).write_text(json.dumps(CONTENTS[layout]))
    (task,) = tasks_of(layout, str(tmp_path))
    assert task.video_id == "walk"
