"""The prompt sheet: every object's first mask on its frame, as pictures and one page, the doubtful ones first.

In memory are the videos that are being looked at and the manifest, however many pictures there are: they are written as
they come, and the page is put together from files.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from jobs.datasets.doubts import ORDER, Doubt, doubts_of
from jobs.datasets.page import Card, Page
from jobs.datasets.side_by_side import side_by_side
from jobs.pictures.colours import object_colour
from jobs.pictures.drawing import draw_box
from jobs.pictures.encode import encode_jpeg
from jobs.pictures.overlay import blend
from jobs.pictures.resize import scaled
from model.segmenter import SegmenterConfig
from pipeline.errors import InvalidOutput, InvalidPrompt, PipelineError
from pipeline.input.box_masks import BoxMasks
from pipeline.input.fields import Fault
from pipeline.input.frames import MAX_PIXELS, Frame, Rgb
from pipeline.input.manifest import NOTHING_ELSE, VideoTask, parse_manifest
from pipeline.input.origin import Allowed
from pipeline.input.prompts import FramePrompt, Prompts, load_prompts
from pipeline.input.shapes import Box, Mask, pixels_of_box
from pipeline.input.video import open_video
from pipeline.storage.store import Store

READERS = 4
"""Videos looked at at a time: each holds a picture and its masks."""
PAGE = "index.html"
_WIDTH = 640
_QUALITY = 85
_MARK, _ROOM = (255, 255, 255), 8


@dataclass(frozen=True, kw_only=True)
class Looks:
    """How prompts are read and seen."""

    binary_masks: bool = False
    box_masks: BoxMasks = "network"
    segmenter: SegmenterConfig = field(default_factory=SegmenterConfig)
    """Of it the size that the network sees."""
    max_pixels: int = MAX_PIXELS


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What was drawn."""

    videos: int
    pictures: int
    doubtful: Counter[Doubt]
    """Pictures by their worst doubt."""
    faults: Sequence[Fault]


def preview(
    manifest: str,
    to: str,
    *,
    looks: Looks | None = None,
    allowed: Allowed = NOTHING_ELSE,
    readers: int = READERS,
    shown: Callable[[Iterable[list[Card]], int], Iterable[list[Card]]] = lambda cards, _: cards,
) -> Preview:
    """Write the sheet of a manifest into the empty folder `to` (paths or URLs).

    `shown` passes on what was drawn of each video and may show how far it is. What cannot be used is on the page and
    among the faults. Raises InvalidManifest for what is no manifest, InvalidOutput, StoreUnavailable.
    """
    tasks, faults = parse_manifest(manifest, allowed)
    store = Store(to)
    if store.list():
        raise InvalidOutput(f"{store.url} is not empty: choose an empty or new folder")
    artist = _Artist(store=store, looks=looks or Looks())
    doubtful: Counter[Doubt] = Counter()
    pictures = 0
    with Page(store) as page:
        for fault in faults:
            page.add(Doubt.FAULT, Card(title=f"row {fault.row}" if fault.row else "columns", lines=(fault.text,)))
        for cards in shown(side_by_side(artist.draw, enumerate(tasks), readers), len(tasks)):
            for card in cards:
                page.add(card.worst, card)
                faults += [Fault(card.row, f"{card.title}: {line}") for line in card.lines if card.picture is None]
                doubtful.update([card.worst] if card.worst else [])
                pictures += card.picture is not None
        page.finish(PAGE)
    doubtful[Doubt.FAULT] = len(faults)
    return Preview(videos=len(tasks), pictures=pictures, doubtful=+doubtful, faults=faults)


@dataclass(frozen=True, kw_only=True)
class _Artist:
    """Draws the first masks of one video after the other."""

    store: Store
    looks: Looks

    def draw(self, numbered: tuple[int, VideoTask]) -> list[Card]:
        """What was drawn stays when a later frame is at fault."""
        number, task = numbered
        cards: list[Card] = []
        try:
            cards.extend(self._cards(task, f"pictures/{number:06d}"))
        except InvalidOutput:
            raise
        except PipelineError as error:
            cards.append(_refused(task, str(error)))
        return cards

    def _cards(self, task: VideoTask, name: str) -> Iterator[Card]:
        frames, looks = [prompt.frame_index for prompt in task.prompts], self.looks
        with open_video(
            task.video_uri, start_frame=min(frames), end_frame=max(frames) + 1, max_pixels=looks.max_pixels
        ) as video:
            size = (video.info.height, video.info.width)
            prompts = load_prompts(task, *size, binary_masks=looks.binary_masks, box_masks=looks.box_masks)
            new = _first_masks(prompts)
            for frame in video:
                if not new:
                    return
                if frame.index in new:
                    yield self._card(task, prompts, frame, new.pop(frame.index), f"{name}-{frame.index}.jpg")
        if new:
            raise InvalidPrompt(
                f"prompt for frame {min(new)}, which the video ({task.video_uri}) lacks: correct frame_index"
            )

    def _card(self, task: VideoTask, prompts: Prompts, frame: Frame, new: frozenset[int], name: str) -> Card:
        try:
            prompt = prompts.on(frame.index, frame.rgb)
        except InvalidPrompt as error:
            return _refused(task, str(error))
        assert prompt is not None
        doubts = doubts_of(prompt, self.looks.segmenter.network_size(*prompt.labels.shape))
        small = [i for i in new if {Doubt.TINY, Doubt.LOST} & set(doubts[i])]
        self.store.put(name, encode_jpeg(_picture(task, frame, prompt, small), quality=_QUALITY))
        lines = [f"{prompt.overlap:,} pixels are in several objects"] if prompt.overlap else []
        all_doubts = {doubt for i in new for doubt in doubts[i]} | ({Doubt.OVERLAP} if lines else set())
        return Card(
            title=f"video {task.video_id!r}, frame {frame.index}",
            picture=name,
            objects=tuple((i, object_colour(i), tuple(map(str, doubts[i]))) for i in sorted(new)),
            lines=tuple(lines),
            worst=next((doubt for doubt in ORDER if doubt in all_doubts), None),
            row=task.row,
        )


def _refused(task: VideoTask, why: str) -> Card:
    return Card(title=f"video {task.video_id!r}", lines=(why,), worst=Doubt.FAULT, row=task.row)


def _first_masks(prompts: Prompts) -> dict[int, frozenset[int]]:
    """By frame the objects whose first prompt is there."""
    known: set[int] = set()
    new = {}
    for frame_index in prompts:
        if ids := frozenset(prompts[frame_index].object_ids) - known:
            new[frame_index] = ids
            known |= ids
    return new


def _picture(task: VideoTask, frame: Frame, prompt: FramePrompt, small: Iterable[int]) -> Rgb:
    """The frame with all masks of its prompt, the boxes that some are made of, and a mark around the small ones."""
    rgb = blend(frame.rgb, prompt.labels)
    for source in task.prompts:
        for given in source.objects if source.frame_index == frame.index else ():
            if given.kind == "box":
                draw_box(rgb, pixels_of_box(given, prompt.labels.shape), object_colour(given.object_id))
    width = min(_WIDTH, rgb.shape[1])
    shown = scaled(rgb, width)
    for object_id in small:
        draw_box(shown, _around(prompt.labels == object_id, width / rgb.shape[1]), _MARK)
    return shown


def _around(mask: Mask, scale: float) -> Box:
    """The box of a mask with room to see it, in a picture that is so many times as large."""
    ys, xs = np.nonzero(mask)
    left, right, top, bottom = (round(scale * side) for side in (xs.min(), xs.max() + 1, ys.min(), ys.max() + 1))
    return Box(left - _ROOM, top - _ROOM, right + _ROOM, bottom + _ROOM)
