import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InvalidManifest
from pipeline.input.manifest import PromptSource, VideoTask, read_manifest, write_manifest
from pipeline.input.objects import PromptObject
from pipeline.input.origin import Allowed

ROW: dict[str, Any] = {
    "video_id": "a",
    "video_uri": "a.mp4",
    "prompts": [{"frame_index": 0, "mask_uri": "a.png"}],
}


def written(folder: Path, *rows: object) -> str:
    path = folder / "videos.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return str(path)


def message(folder: Path, *rows: object) -> str:
    with pytest.raises(InvalidManifest) as caught:
        read_manifest(written(folder, *rows))
    return str(caught.value)


def test_relative_uris_start_at_the_manifest_and_others_stay(tmp_path: Path) -> None:
    row = ROW | {"video_uri": "s3://bucket/a.mp4", "mask_uri": "../masks/a.png", "mask_frame": 3}
    del row["prompts"]
    (task,) = read_manifest(written(tmp_path, row))
    assert task.video_uri == "s3://bucket/a.mp4"
    mask = f"file://{tmp_path.parent}/masks/a.png"
    assert task.prompts == (PromptSource(frame_index=3, mask_uri=mask),)


def test_every_column_arrives(tmp_path: Path) -> None:
    prompts = [
        {"frame_index": 7, "mask_uri": "7.png", "object_ids": [9, 2]},
        {"frame_index": 5, "mask_uri": "5.png"},
    ]
    numbers = {"start_frame": 5, "end_frame": 8, "num_frames": 90, "height": 480, "width": 854}
    metadata = {"classes": {"1": "car"}}
    (task,) = read_manifest(written(tmp_path, ROW | numbers | {"prompts": prompts, "metadata": metadata}))
    assert [(prompt.frame_index, prompt.object_ids) for prompt in task.prompts] == [(5, None), (7, (2, 9))]
    assert {name: getattr(task, name) for name in numbers} == numbers
    assert task.metadata == metadata


def test_null_means_absent_and_blank_lines_count(tmp_path: Path) -> None:
    row = ROW | {"start_frame": None, "end_frame": None, "metadata": None, "mask_uri": None}
    (task,) = read_manifest(written(tmp_path, "", row, ""))
    assert (task.start_frame, task.end_frame, task.metadata, task.row) == (0, None, {}, 2)


def test_line_separators_inside_text_do_not_end_a_row(tmp_path: Path) -> None:
    path = tmp_path / "videos.jsonl"
    path.write_bytes(
        b"\xef\xbb\xbf" + json.dumps(ROW | {"video_id": "a\u2028b"}, ensure_ascii=False).encode() + b"\r\n"
    )
    assert read_manifest(str(path))[0].video_id == "a\u2028b"


def test_rows_may_share_a_video(tmp_path: Path) -> None:
    spans = [ROW | {"video_id": "a-1", "end_frame": 5}, ROW | {"video_id": "a-2"}]
    assert len({task.video_uri for task in read_manifest(written(tmp_path, *spans))}) == 1


def test_a_frame_may_have_several_masks_of_different_objects(tmp_path: Path) -> None:
    prompts = [{"frame_index": 0, "mask_uri": f"{key}.png", "object_ids": [key]} for key in (1, 2)]
    (task,) = read_manifest(written(tmp_path, ROW | {"prompts": prompts}))
    assert len(task.prompts) == 2


def prompted(**fields: object) -> dict[str, Any]:
    return ROW | {"prompts": [ROW["prompts"][0] | fields]}


TWICE = {"frame_index": 0, "mask_uri": "b.png", "object_ids": [1, 2]}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("{not json", "row 2: is not JSON"),
        ("[1]", "row 2: is [1], expected a JSON object"),
        (ROW | {"vidoe_uri": "x"}, "row 2: unknown column 'vidoe_uri'; did you mean 'video_uri'?"),
        (ROW | {"zzz": 1}, "row 2: unknown column 'zzz'; the columns are video_id, video_uri"),
        (ROW | {"video_id": None}, "row 2: video_id is missing"),
        (ROW | {"video_id": " "}, "row 2: video_id is empty"),
        (ROW | {"video_id": 7}, "row 2: video_id is 7, expected text"),
        (ROW | {"video_id": "\ud800"}, "row 2: video_id is"),
        (ROW | {"video_uri": ""}, "row 2: video_uri is empty"),
        (ROW | {"start_frame": -1}, "row 2: start_frame is -1, expected a whole number from 0"),
        (ROW | {"end_frame": 3.0}, "row 2: end_frame is 3.0, expected a whole number"),
        (ROW | {"height": True}, "row 2: height is true, expected a whole number"),
        (ROW | {"width": 0}, "row 2: width is 0, expected a whole number from 1"),
        (ROW | {"num_frames": "90"}, 'row 2: num_frames is "90", expected a whole number'),
        (ROW | {"metadata": [1]}, "row 2: metadata is [1], expected a JSON object"),
        (ROW | {"prompts": None}, "row 2: has no prompt"),
        (ROW | {"prompts": []}, "row 2: prompts is [], expected a list of at least one"),
        (ROW | {"prompts": "a.png"}, 'row 2: prompts is "a.png", expected a list'),
        (ROW | {"mask_uri": "a.png"}, "row 2: has both prompts and mask_uri"),
        (ROW | {"prompts": None, "mask_uri": "a.png"}, "row 2: mask_frame is missing"),
        (ROW | {"prompts": None, "mask_frame": 0}, "row 2: mask_uri is missing"),
        (prompted(frame=1), "row 2: prompts[0]: unknown column 'frame'; did you mean 'frame_index'?"),
        (prompted(frame_index=None), "row 2: prompts[0]: frame_index is missing"),
        (prompted(mask_uri=None), "row 2: prompts[0]: mask_uri is missing"),
        (prompted(object_ids=[]), "row 2: prompts[0]: object_ids is [], expected a list of object ids"),
        (prompted(object_ids=[0]), "row 2: prompts[0]: object_ids is [0]"),
        (prompted(object_ids=[1, 255]), "row 2: prompts[0]: object_ids is [1, 255]"),
        (prompted(object_ids=[3, 3]), "where an id stands twice"),
        (ROW | {"start_frame": 1}, "row 2: the prompt of frame 0 is outside the frames 1 to the end"),
        (prompted(frame_index=5) | {"end_frame": 5}, "row 2: the prompt of frame 5 is outside the frames 0 to 4"),
        (ROW | {"start_frame": 4, "end_frame": 4}, "row 2: end_frame 4 is not after start_frame 4"),
        (ROW | {"prompts": [TWICE, TWICE | {"object_ids": [2]}]}, "row 2: several prompts of frame 0"),
        (ROW | {"prompts": [TWICE, *ROW["prompts"]]}, "row 2: several prompts of frame 0"),
    ],
)
def test_a_fault_is_named_with_its_row(tmp_path: Path, row: object, expected: str) -> None:
    found = message(tmp_path, ROW | {"video_id": "first"}, row)
    assert expected in found
    assert "1 fault;" in found


def test_bytes_that_are_no_text_are_a_fault_of_their_row(tmp_path: Path) -> None:
    path = tmp_path / "videos.jsonl"
    path.write_bytes(json.dumps(ROW).encode() + b'\n{"video_id": "\xff"}\n')
    with pytest.raises(InvalidManifest, match="row 2: is not JSON in UTF-8"):
        read_manifest(str(path))


def test_a_repeated_video_id_names_both_rows(tmp_path: Path) -> None:
    found = message(tmp_path, ROW, ROW | {"video_id": "b"}, ROW)
    assert "row 3: video_id 'a' is already that of row 1" in found


def test_all_faults_of_all_rows_come_at_once(tmp_path: Path) -> None:
    found = message(tmp_path, ROW | {"height": 0, "width": 0}, "{", ROW | {"video_id": "b", "video_uri": ""})
    assert "4 faults" in found
    assert [found.count(f"row {row}:") for row in (1, 2, 3)] == [2, 1, 1]


def test_twenty_faults_are_shown_and_the_rest_counted(tmp_path: Path) -> None:
    found = message(tmp_path, *["{"] * 25)
    assert (found.count("row "), "and 5 more" in found) == (20, True)


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_an_empty_manifest_is_refused(tmp_path: Path, content: str) -> None:
    assert "has no rows" in message(tmp_path, content)


def test_a_missing_manifest_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidManifest, match="manifest build"):
        read_manifest(str(tmp_path / "none.jsonl"))


@pytest.mark.parametrize("name", ["videos.xlsx", "videos.csv.gz", "videos"])
def test_other_formats_are_refused_by_name(tmp_path: Path, name: str) -> None:
    url = str(tmp_path / name)
    with pytest.raises(InvalidManifest, match=r"ends in \.jsonl, .*\.parquet"):
        read_manifest(url)
    with pytest.raises(InvalidManifest, match=r"ends in \.jsonl, .*\.parquet"):
        write_manifest(url, [])
    assert not Path(url).exists()


def test_a_folder_can_move_with_its_manifest(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    prompt = PromptSource(frame_index=0, mask_uri=f"file://{old}/masks/a.png")
    task = VideoTask(video_id="a", video_uri="s3://elsewhere/a.mp4", prompts=(prompt,))
    write_manifest(str(old / "videos.jsonl"), [task])
    old.rename(new)
    (read,) = read_manifest(str(new / "videos.jsonl"))
    assert read.prompts[0].mask_uri == f"file://{new}/masks/a.png"
    assert read.video_uri == "s3://elsewhere/a.mp4"


BASE = "memory://manifests/here"
NAMES = st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="/"), min_size=1).filter(
    lambda name: name.strip() and name not in (".", "..")
)
URLS = st.one_of(
    st.sampled_from(["~x", "a:", "s3:", "x y", "2%20", "#?"]).map(lambda name: f"{BASE}/{name}"),
    st.lists(NAMES, min_size=1, max_size=3).map(lambda names: "/".join([BASE, *names])),
    st.sampled_from(["s3://bucket/a.mp4", "file:///data/a b.mp4", f"{BASE}elsewhere/a.mp4"]),
)
IDS = st.sets(st.integers(1, 65535).filter(lambda value: value != 255), min_size=1, max_size=4)
MASKS = st.builds(
    PromptSource,
    frame_index=st.integers(10, 99),
    mask_uri=URLS,
    object_ids=st.none() | IDS.map(lambda ids: tuple(sorted(ids))),
)
PIXELS = st.integers(-1000, 10_000) | st.floats(-1000, 10_000, width=32)
SIDES = st.integers(1, 10_000) | st.floats(0.125, 10_000)
SHAPES: st.SearchStrategy[Callable[[int], PromptObject]] = st.one_of(
    st.tuples(PIXELS, PIXELS, SIDES, SIDES).map(lambda box: lambda i: PromptObject.of_box(i, box)),
    st.lists(st.tuples(*[PIXELS] * 6), min_size=1, max_size=2).map(
        lambda all: lambda i: PromptObject.of_polygons(i, all)
    ),
    st.lists(st.integers(1, 99), min_size=1, max_size=9).map(
        lambda counts: lambda i: PromptObject.of_rle(i, {"size": [1, sum(counts)], "counts": counts})
    ),
)
DRAWN = st.builds(
    PromptSource,
    frame_index=st.integers(10, 99),
    objects=st.dictionaries(IDS.map(min), SHAPES, min_size=1, max_size=3).map(
        lambda shapes: tuple(shape(object_id) for object_id, shape in shapes.items())
    ),
)
SOURCES = MASKS | DRAWN
SIZES = st.none() | st.integers(1, 10_000)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
TASKS = st.builds(
    VideoTask,
    video_id=st.text(min_size=1).filter(str.strip),
    video_uri=URLS,
    prompts=st.lists(SOURCES, min_size=1, max_size=3, unique_by=lambda source: source.frame_index).map(
        lambda sources: tuple(sorted(sources, key=lambda source: source.frame_index))
    ),
    start_frame=st.integers(0, 10),
    end_frame=st.none() | st.integers(100, 200),
    num_frames=SIZES,
    height=SIZES,
    width=SIZES,
    metadata=st.dictionaries(st.text(), JSON, max_size=2),
)


@given(st.lists(TASKS, min_size=1, max_size=3, unique_by=lambda task: task.video_id))
def test_what_is_written_is_read_back_in_every_format(tasks: list[VideoTask]) -> None:
    for suffix in ("jsonl", "csv", "parquet"):
        write_manifest(f"{BASE}/videos.{suffix}", tasks)
        assert read_manifest(f"{BASE}/videos.{suffix}", Allowed(local=True)) == tasks


def test_the_frames_of_a_task() -> None:
    def task(**columns: int) -> VideoTask:
        return VideoTask(video_id="v", video_uri="memory://v.mp4", prompts=(), **columns)  # type: ignore[arg-type]

    assert task().frames_in_span is None
    assert task(num_frames=10, start_frame=4).frames_in_span == 6
    assert task(start_frame=2, end_frame=5).frames_in_span == 3
    assert task(num_frames=3, start_frame=7).frames_in_span == 0


def test_messages_name_a_task_by_id_and_row() -> None:
    task = VideoTask(video_id="day 1", video_uri="memory://v.mp4", prompts=())
    assert task.name == "video 'day 1'"
    assert replace(task, row=7).name == "video 'day 1' (row 7)"
