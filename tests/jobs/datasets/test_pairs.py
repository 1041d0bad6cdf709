"""The layout of pairs."""

import uuid

import pytest

from jobs.datasets.pairs import Pair, read_pairs
from pipeline.errors import InvalidInput
from pipeline.storage.store import Store


def put(*names: str) -> Store:
    """A folder of empty files: none is read."""
    folder = Store(f"memory://{uuid.uuid4().hex}")
    for name in names:
        folder.put(name, b"")
    return folder


def test_pairs_come_in_natural_order() -> None:
    folder = put("clip10.mp4", "clip10.png", "clip2.final.mov", "clip2.final.png", "README.md")
    assert read_pairs(folder) == [
        Pair(name="clip2.final", video="clip2.final.mov", mask="clip2.final.png"),
        Pair(name="clip10", video="clip10.mp4", mask="clip10.png"),
    ]


def test_they_match_by_name_where_one_name_begins_another() -> None:
    """By their suffixes `clip.mp4` and `clip.new.mp4` sort the other way round than their masks."""
    found = read_pairs(put("clip.mp4", "clip.png", "clip.new.mp4", "clip.new.png"))
    assert {(pair.video, pair.mask) for pair in found} == {("clip.mp4", "clip.png"), ("clip.new.mp4", "clip.new.png")}


def test_what_has_no_partner_is_listed() -> None:
    with pytest.raises(InvalidInput, match="no video"):
        read_pairs(put())
    with pytest.raises(InvalidInput, match=r"no mask beside alone\.mov; no video beside lost\.png"):
        read_pairs(put("good.mp4", "good.png", "alone.mov", "lost.png"))


@pytest.mark.parametrize("names", [("x.mp4", "x.mkv", "x.png"), ("x.mp4", "x.png", "x.PNG")])
def test_two_of_one_name_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput, match="several videos or masks share a name"):
        read_pairs(put(*names))
