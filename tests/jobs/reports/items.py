"""What a queue may ask about, for tests of the review page."""

from collections.abc import Iterable
from typing import NamedTuple


class Item(NamedTuple):
    """What the pages read of a `QueueItem`."""

    video_id: str
    frame_index: int
    object_id: int
    first_frame: int
    last_frame: int
    expected_j: float = 0.25
    reasons: tuple[str, ...] = ("the network is unsure",)


def item(video_id: str, frame_index: int, object_id: int) -> Item:
    return Item(video_id, frame_index, object_id, max(0, frame_index - 1), frame_index + 1)


def all_of(video_id: str, frames: Iterable[int], objects: Iterable[int]) -> list[Item]:
    """Every object on every frame."""
    ids = list(objects)
    return [item(video_id, frame_index, object_id) for frame_index in frames for object_id in ids]
