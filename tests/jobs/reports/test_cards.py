"""The data of the review page: items in their order, crops with outlines, and what is said without pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import pytest

from jobs.reports.cards import PAGE_SIZE, put_cards
from pipeline.errors import InvalidOutput
from pipeline.input.manifest import read_manifest
from pipeline.output.labels import committed_videos
from pipeline.storage.store import Store
from tests.jobs.exports.outputs import FOLDER, UNICODE, Output, make_output
from tests.jobs.reports.items import Item, all_of, item
from tests.jobs.reports.reading import values


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Output:
    return make_output(tmp_path_factory.mktemp("output"))


def put(output: Output, folder: Path, items: Sequence[Item], *, pictures: bool = True) -> dict[str, Any]:
    """The index of a new report's queue."""
    tasks = {task.video_id: task for task in read_manifest(output.manifest)} if pictures else {}
    put_cards(Store(str(folder)), output.url, items, committed_videos(output.url), tasks)
    (index,) = values((folder / "data/queue.js").read_bytes())
    return index


def cards(folder: Path, page: int = 0) -> list[dict[str, Any]]:
    name, found = values((folder / f"data/queue/{page}.js").read_bytes())
    assert name == str(page)
    return found


def test_items_stay_in_their_order(output: Output, tmp_path: Path) -> None:
    items = [item(UNICODE, 4, 1), item(FOLDER, 2, 3), item(UNICODE, 2, 1), item(FOLDER, 0, 300)]
    index = put(output, tmp_path, items)
    videos = [index["videos"][place]["id"] for place in index["items"]["video"]]
    assert list(zip(videos, index["items"]["frame"], index["items"]["object"], strict=True)) == [
        one[:3] for one in items
    ]
    identities = {one["id"]: one["identity"] for one in index["videos"]}
    assert identities == {name: video.identity for name, video in committed_videos(output.url).items()}
    assert [card["first"] for card in cards(tmp_path)] == [one.first_frame for one in items]


def test_a_card_shows_the_frames_around(output: Output, tmp_path: Path) -> None:
    put(output, tmp_path, [item(FOLDER, 3, 1)])
    (card,) = cards(tmp_path)
    assert [frame["frame"] for frame in card["frames"]] == [1, 2, 3, 4, 5]
    width, height = card["size"]
    for frame in card["frames"]:
        assert cv2.imread(str(tmp_path / frame["picture"])).shape == (height, width, 3)
        assert frame["outline"]
    others = {frame["frame"]: [one[1] for one in frame["others"]] for frame in card["frames"]}
    assert others == {1: [300], 2: [3, 300], 3: [3], 4: [3], 5: [3, 300]}


def test_a_card_shows_no_frame_that_has_no_masks(output: Output, tmp_path: Path) -> None:
    put(output, tmp_path, [item(UNICODE, 2, 1), item(UNICODE, 5, 1)])
    assert [[frame["frame"] for frame in card["frames"]] for card in cards(tmp_path)] == [[2, 3, 4], [3, 4, 5]]


def test_an_object_without_a_pixel_is_shown_where_it_was(output: Output, tmp_path: Path) -> None:
    put(output, tmp_path, [item(FOLDER, 4, 300), item(FOLDER, 2, 300)])
    gone, there = cards(tmp_path)
    asked = next(frame for frame in gone["frames"] if frame["frame"] == 4)
    assert asked["outline"] == ""
    assert asked["picture"]
    assert gone["box"] == there["box"]


def test_pages_are_whole(output: Output, tmp_path: Path) -> None:
    items = all_of(FOLDER, range(6), [1, 300]) * 5
    index = put(output, tmp_path, items, pictures=False)
    assert index["page_size"] == PAGE_SIZE
    assert [len(cards(tmp_path, page)) for page in (0, 1)] == [50, 10]
    assert not (tmp_path / "data/queue/2.js").exists()


def test_without_a_manifest_there_are_outlines_alone(output: Output, tmp_path: Path) -> None:
    index = put(output, tmp_path, [item(FOLDER, 3, 1)], pictures=False)
    (frame, *_) = cards(tmp_path)[0]["frames"]
    assert frame["picture"] is None
    assert frame["outline"]
    assert index["videos"][0]["problem"] == "made without --manifest, or it has no row for this video"
    assert not (tmp_path / "crops").exists()


def test_a_video_that_was_replaced_is_named(output: Output, tmp_path: Path) -> None:
    """Items are of a result that is gone: of another video, or with fewer frames."""
    for one in (item("gone", 3, 1), item(FOLDER, 99, 1)):
        with pytest.raises(InvalidOutput, match=f"video '{one.video_id}': its result was replaced during the report"):
            put(output, tmp_path, [one])


def test_another_queue_has_another_key(output: Output, tmp_path: Path) -> None:
    """Decisions are kept by it in the browser."""
    one = put(output, tmp_path / "1", [item(FOLDER, 3, 1)], pictures=False)
    same = put(output, tmp_path / "2", [item(FOLDER, 3, 1)], pictures=False)
    other = put(output, tmp_path / "3", [item(FOLDER, 3, 3)], pictures=False)
    assert one["key"] == same["key"] != other["key"]


def test_nothing_to_ask_is_a_queue_too(output: Output, tmp_path: Path) -> None:
    assert put(output, tmp_path, [])["items"] == {"video": [], "frame": [], "object": []}


def test_a_report_that_is_stopped_ends(output: Output, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        put_cards(
            Store(str(tmp_path)), output.url, [item(FOLDER, 3, 1)], committed_videos(output.url), {}, stop=lambda: True
        )
    assert not (tmp_path / "data").exists()
