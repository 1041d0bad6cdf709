"""What the review page shows: a card an object-frame, each a crop of the frame and of those just before and after it.

    data/queue.js            which object-frames these are, worst first
    data/queue/N.js          what the cards of page N show
    crops/SAFE/F-ID/T.jpg    frame T of the card of object ID on frame F of a video

In memory are one video's outlines and one frame; cards wait on the disk until their page is whole.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from jobs.pictures.encode import encode_jpeg
from jobs.reports.crops import Box, Crop, crop_around, union
from jobs.reports.frames import decoded
from jobs.reports.outlines import outline
from jobs.reports.scripts import data_script
from jobs.reports.video_page import css_colour
from jobs.reviewing.queue import QueueItem
from pipeline.errors import InvalidInput, InvalidOutput
from pipeline.input.manifest import VideoTask
from pipeline.output import rle
from pipeline.output.labels import CommittedVideo
from pipeline.output.layout import safe_name
from pipeline.scratch import Scratch
from pipeline.storage.store import Store
from pipeline.storage.urls import name_of

VERSION = 1
"""Of the data that the page reads."""
PAGE_SIZE = 50
NEIGHBOURS = 2
"""Frames shown before and after the one that is asked about."""
_OTHERS = 12
"""Further objects outlined on a crop, at most: the largest ones."""
_QUALITY = 75
_BOX = ["bbox_x", "bbox_y", "bbox_w", "bbox_h"]


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """One frame of a card."""

    outline: str
    """SVG path of the object in the crop; "" where it has no pixel."""
    others: Sequence[tuple[int, str]]
    """Id and outline of each other object in the crop."""


@dataclass(kw_only=True)
class _Card:
    """What is found out about one item."""

    item: QueueItem
    crop: Crop
    box: Box
    """What the crop is about, in the frame."""
    shown: dict[int, _Shown] = field(default_factory=dict)
    """By frame_index."""
    pictures: set[int] = field(default_factory=set)
    """Frames with a picture."""

    @property
    def folder(self) -> str:
        """Where its pictures lie in the report."""
        return f"crops/{safe_name(self.item.video_id)}/{self.item.frame_index}-{self.item.object_id}"


def put_cards(
    store: Store,
    output: str,
    items: Sequence[QueueItem],
    videos: Mapping[str, CommittedVideo],
    tasks: Mapping[str, VideoTask],
    *,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Write the data of the review page for `items` of `output` (its URL), which stay in their order, worst first.

    `tasks`: where the pictures lie; a video that has none, or cannot be read, has cards without pictures.

    Raises:
        KeyboardInterrupt: `stop` asked for it.
        InvalidOutput: a result was replaced meanwhile, or the report cannot be written.
        StoreUnavailable: a store failed.
    """
    problems: dict[str, str] = {}
    with Scratch() as scratch:
        for video_id, numbers in _by_video(items).items():
            if stop():
                raise KeyboardInterrupt
            cards = _cards_of(videos, video_id, [items[number] for number in numbers])
            problem = _put_pictures(store, tasks.get(video_id), videos[video_id].size, cards)
            if problem is not None:
                problems[video_id] = problem
            for number, card in zip(numbers, cards, strict=True):
                (scratch.folder / f"{number}.json").write_text(json.dumps(_as_json(card)))
        for page, first in enumerate(range(0, len(items), PAGE_SIZE)):
            numbers_of_page = range(first, min(first + PAGE_SIZE, len(items)))
            found = [json.loads((scratch.folder / f"{number}.json").read_text()) for number in numbers_of_page]
            store.put(f"data/queue/{page}.js", data_script("queue", str(page), found))
    store.put("data/queue.js", data_script("queue", _index(output, items, videos, problems)))


def _by_video(items: Sequence[QueueItem]) -> dict[str, list[int]]:
    """Numbers of items by video."""
    found: dict[str, list[int]] = {}
    for number, item in enumerate(items):
        found.setdefault(item.video_id, []).append(number)
    return found


def _index(
    output: str, items: Sequence[QueueItem], videos: Mapping[str, CommittedVideo], problems: Mapping[str, str]
) -> dict[str, object]:
    """Enough to count and to save decisions without any page of cards."""
    ids = list(dict.fromkeys(item.video_id for item in items))
    places = {video_id: place for place, video_id in enumerate(ids)}
    columns = {
        "video": [places[item.video_id] for item in items],
        "frame": [item.frame_index for item in items],
        "object": [item.object_id for item in items],
    }
    rows = [
        {
            "id": video_id,
            "file": safe_name(video_id),
            "identity": videos[video_id].identity,
            "problem": problems.get(video_id),
        }
        for video_id in ids
    ]
    asked = json.dumps([rows, columns], sort_keys=True).encode()
    return {
        "version": VERSION,
        "output": name_of(output),
        "key": hashlib.sha256(asked).hexdigest()[:16],  # decisions of another queue are not those of this one
        "page_size": PAGE_SIZE,
        "videos": rows,
        "items": columns,
    }


def _cards_of(videos: Mapping[str, CommittedVideo], video_id: str, items: Sequence[QueueItem]) -> list[_Card]:
    try:
        cards = _drawn(videos[video_id], items)
    except (KeyError, FileNotFoundError) as error:
        raise _replaced(video_id) from error
    if any(card.item.frame_index not in card.shown for card in cards):
        raise _replaced(video_id)
    return cards


def _replaced(video_id: str) -> InvalidOutput:
    return InvalidOutput(f"video {video_id!r}: its result was replaced during the report: remove DIR and call again")


def _drawn(video: CommittedVideo, items: Sequence[QueueItem]) -> list[_Card]:
    boxes = video.masks(["frame_index", "object_id", *_BOX])
    cards = []
    for item in items:
        box, around = _boxes_of(boxes, item) or ((0, 0, video.size[1], video.size[0]),) * 2
        cards.append(_Card(item=item, crop=crop_around(box, around, video.size), box=box))
    _find_outlines(video, cards)
    return cards


def _boxes_of(boxes: pa.Table, item: QueueItem) -> tuple[Box, Box] | None:
    """The object's box and that of all frames of its card; where it has no pixel in any, where it was seen last.

    None: it was seen nowhere.
    """
    seen = boxes.filter(pc.and_(pc.equal(boxes["object_id"], item.object_id), boxes["bbox_x"].is_valid()))
    if not len(seen):
        return None
    away = np.abs(seen["frame_index"].to_numpy() - item.frame_index)
    near = np.flatnonzero(away <= max(NEIGHBOURS, away.min()))
    found = [(row["bbox_x"], row["bbox_y"], row["bbox_w"], row["bbox_h"]) for row in seen.take(near).to_pylist()]
    return found[int(away[near].argmin())], union(found)


def _around(item: QueueItem) -> range:
    return range(item.frame_index - NEIGHBOURS, item.frame_index + NEIGHBOURS + 1)


def _by_frame(cards: Sequence[_Card]) -> dict[int, list[_Card]]:
    """The cards that show a frame, by frame_index."""
    found: dict[int, list[_Card]] = {}
    for card in cards:
        for frame_index in _around(card.item):
            found.setdefault(frame_index, []).append(card)
    return found


def _find_outlines(video: CommittedVideo, cards: Sequence[_Card]) -> None:
    """Draw the objects of all frames that the cards show and the video has."""
    wanted = _by_frame(cards)
    columns = ["frame_index", "object_id", "height", "width", "rle", "area"]
    for frame_index, rows in groupby(video.rows("masks", columns), key=itemgetter("frame_index")):
        if frame_index not in wanted:
            continue
        masks = {row["object_id"]: _mask(row) for row in rows if row["area"]}
        for card in wanted[frame_index]:
            card.shown[frame_index] = _shown(card, masks)


def _mask(row: Mapping[str, Any]) -> NDArray[np.bool_]:
    return rle.decode(row["rle"], row["height"], row["width"])


def _shown(card: _Card, masks: Mapping[int, NDArray[np.bool_]]) -> _Shown:
    inside = {object_id: card.crop.of(mask) for object_id, mask in masks.items()}
    sizes = {object_id: int(np.count_nonzero(part)) for object_id, part in inside.items()}
    others = sorted((i for i, size in sizes.items() if size and i != card.item.object_id), key=lambda i: -sizes[i])
    own = inside.get(card.item.object_id)
    return _Shown(
        outline="" if own is None else outline(own, card.crop.size),
        others=[(i, outline(inside[i], card.crop.size)) for i in sorted(others[:_OTHERS])],
    )


def _put_pictures(store: Store, task: VideoTask | None, size: tuple[int, int], cards: Sequence[_Card]) -> str | None:
    """Write the crops of one video; why some are missing."""
    if task is None:
        return "made without --manifest, or it has no row for this video"
    wanted = _by_frame(cards)
    try:
        for frame in decoded(task, size, sorted({index for card in cards for index in card.shown})):
            for card in (one for one in wanted[frame.index] if frame.index in one.shown):
                data = encode_jpeg(card.crop.picture(frame.rgb), quality=_QUALITY)
                store.put(f"{card.folder}/{frame.index}.jpg", data)
                card.pictures.add(frame.index)
    except InvalidInput as error:
        return str(error)
    return None if all(card.shown.keys() <= card.pictures for card in cards) else "the video is shorter than its masks"


def _as_json(card: _Card) -> dict[str, object]:
    height, width = card.crop.size
    return {
        "first": card.item.first_frame,
        "last": card.item.last_frame,
        "expected_j": round(card.item.expected_j, 3),
        "reasons": list(card.item.reasons),
        "colour": css_colour(card.item.object_id),
        "size": [width, height],
        "box": [round(value, 1) for value in card.crop.box_inside(card.box)],
        "frames": list(_frames(card)),
    }


def _frames(card: _Card) -> Iterator[dict[str, object]]:
    for frame_index, shown in card.shown.items():
        yield {
            "frame": frame_index,
            "picture": f"{card.folder}/{frame_index}.jpg" if frame_index in card.pictures else None,
            "outline": shown.outline,
            "others": [[css_colour(object_id), object_id, path] for object_id, path in shown.others],
        }
