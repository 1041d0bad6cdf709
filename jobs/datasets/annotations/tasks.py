"""Rows of a manifest from annotated videos: which objects there are, and what prompts them."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from jobs.datasets.annotations import shapes
from jobs.datasets.annotations.annotated import AnnotatedFrame, AnnotatedVideo, Drawn, Shape, Size
from jobs.datasets.annotations.sources import Source
from jobs.datasets.listing import few
from model.result import VOID
from pipeline.errors import InvalidInput, InvalidPrompt
from pipeline.input.frames import MAX_PIXELS
from pipeline.input.manifest import PromptSource, VideoTask
from pipeline.input.objects import PromptObject

_MOST_ID = 2**16 - 1


@dataclass(frozen=True, kw_only=True)
class _Frame:
    index: int
    frame: AnnotatedFrame
    source: Source

    def size(self) -> Size:
        size = self.frame.size or self.source.size_of(self.index)
        if min(size) < 1 or size[0] * size[1] > MAX_PIXELS:
            raise InvalidInput(
                f"{self.frame.drawn[0].where}: its picture has the size {list(size)} (height, width) by the file; "
                f"correct it, at most {MAX_PIXELS} pixels are read"
            )
        return size


def has_objects(video: AnnotatedVideo) -> bool:
    """Whether anything is drawn on its frames."""
    return any(frame.drawn for frame in video.frames)


def task_of(video: AnnotatedVideo, source: Source, *, every_frame: bool) -> tuple[VideoTask, Sequence[str]]:
    """The row of a video that has objects, and what of it is not taken.

    With tracks each object is prompted where it first has a pixel, or in every annotated frame (`every_frame`);
    without them the objects of the first annotated frame are numbered and it alone is prompted. Raises InvalidInput
    for a picture that is missing or a shape that has no place in its picture.
    """
    frames = _placed(video, source)
    drawn = [one for frame in frames for one in frame.frame.drawn]
    without = [one for one in drawn if one.track is None]
    if not without:
        return _tracked(video, source, frames, every_frame), ()
    if every_frame:
        raise InvalidInput(
            f"{without[0].where}: has no track id, so nobody knows which object it is in other frames; leave --prompts "
            "all out"
        )
    return _numbered(video, source, frames[:1]), tuple(_untaken(video, frames, drawn, without))


def _untaken(
    video: AnnotatedVideo, frames: Sequence[_Frame], drawn: Sequence[Drawn], without: Sequence[Drawn]
) -> Iterator[str]:
    if len(frames) > 1:
        some = "some objects have" if len(without) < len(drawn) else "objects have"
        example = f" ({without[0].where})" if len(without) < len(drawn) else ""
        yield (
            f"video {video.video_id!r}: {some} no track ids{example}, so of {len(frames)} annotated frames only the "
            "first is taken"
        )


def _placed(video: AnnotatedVideo, source: Source) -> list[_Frame]:
    """The frames that have objects, in the order of the video."""
    shown = [frame for frame in video.frames if frame.drawn]
    found = {id(frame): source.index_of(frame, len(video.frames)) for frame in shown}
    if missing := [frame.picture for frame in shown if found[id(frame)] is None]:
        raise InvalidInput(
            f"{video.where}: {source.url} lacks {few(missing)}; put the pictures there, or name their folder with "
            "--images"
        )
    placed = [_Frame(index=found[id(frame)] or 0, frame=frame, source=source) for frame in shown]
    placed.sort(key=lambda one: one.index)
    if source.names and placed[-1].index >= len(source.names):
        raise InvalidInput(
            f"{video.where}: frame {placed[-1].index} has objects, but {source.url} has {len(source.names)} pictures; "
            "name the folder of all frames with --images"
        )
    return placed


def _numbered(video: AnnotatedVideo, source: Source, frames: Sequence[_Frame]) -> VideoTask:
    parts: dict[Hashable, list[Drawn]] = {}
    for place, one in enumerate(frames[0].frame.drawn):
        parts.setdefault(("alone", place) if one.group is None else ("group", one.group), []).append(one)
    numbers = {key: number for number, key in enumerate(parts, 1)}
    objects = _objects(frames[0], parts, numbers)
    classes = {numbers[key]: found[0].class_name for key, found in parts.items()}
    return _row(video, source, frames, [_prompt(frames[0], objects)], classes, {})


def _tracked(video: AnnotatedVideo, source: Source, frames: Sequence[_Frame], every_frame: bool) -> VideoTask:
    tracks = list(dict.fromkeys(one.track for frame in frames for one in frame.frame.drawn))
    numbers = _numbers(tracks)
    prompts, seen = [], set[Hashable]()
    for frame in frames:
        parts: dict[Hashable, list[Drawn]] = {}
        for one in frame.frame.drawn:
            if every_frame or one.track not in seen:
                parts.setdefault(one.track, []).append(one)
        objects = _objects(frame, parts, numbers)
        shown = {one.object_id for one in objects}
        seen |= {track for track in parts if numbers[track] in shown}
        gone = [numbers[track] for track in seen if numbers[track] not in shown] if every_frame else []
        if objects or gone:
            prompts.append(_prompt(frame, [*(shapes.absent_object(number, frame.size()) for number in gone), *objects]))
    classes = {numbers[one.track]: one.class_name for frame in reversed(frames) for one in frame.frame.drawn}
    renamed = {str(number): track for track, number in numbers.items() if str(track) != str(number)}
    return _row(video, source, frames, prompts, classes, {"tracks": renamed} if renamed else {})


def _numbers(tracks: Iterable[int | str | None]) -> dict[Hashable, int]:
    """Tracks that are ids of objects stay; where one is not, all are numbered as they come."""
    listed = list(tracks)
    ids = [_as_id(track) for track in listed]
    if None not in ids and len(set(ids)) == len(ids):
        return {track: one for track, one in zip(listed, ids, strict=True) if one is not None}
    free = (number for number in range(1, _MOST_ID + 1) if number != VOID)
    return {track: next(free) for track in listed}


def _as_id(track: int | str | None) -> int | None:
    number = int(track) if isinstance(track, int) or (isinstance(track, str) and track.isdecimal()) else 0
    return number if 1 <= number <= _MOST_ID and number != VOID else None


def _objects(
    frame: _Frame, parts: Mapping[Hashable, Sequence[Drawn]], numbers: Mapping[Hashable, int]
) -> list[PromptObject]:
    """Those that have a pixel, each with one that no other on top of it has."""
    if not parts:
        return []
    size = frame.size()
    found = [_Layer.of(numbers[key], drawn, size) for key, drawn in parts.items()]
    layers = [layer for layer in found if layer is not None]
    hidden = _hidden(layers)
    shown = [layer for layer in layers if layer not in hidden] + hidden  # who draws a small one means it to be seen
    if buried := _hidden(shown):
        raise InvalidInput(f"{buried[0].where}: other objects of its frame cover all of it; remove one of them")
    return [layer.found for layer in shown]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Layer:
    """An object of a frame and its pixels [H, W]."""

    found: PromptObject
    pixels: NDArray[np.bool_]
    where: str

    @classmethod
    def of(cls, number: int, drawn: Sequence[Drawn], size: Size) -> Self | None:
        """None: it has no pixel."""
        parts = [shape for one in drawn if (shape := _part(one, size)) is not None]
        if not parts:
            return None
        with _about(drawn[0].where):
            found = shapes.as_object(number, shapes.union(parts, size), size)
            return cls(found=found, pixels=shapes.pixels_of(found, size), where=drawn[0].where)


def _part(drawn: Drawn, size: Size) -> Shape | None:
    """None: it has no pixel."""
    shape = drawn.draw(size)
    with _about(drawn.where):
        return None if shapes.is_empty(shape) else shape


@contextmanager
def _about(where: str) -> Iterator[None]:
    try:
        yield
    except InvalidPrompt as error:
        raise error.about(where) from error


def _hidden(layers: Sequence[_Layer]) -> list[_Layer]:
    """Those of which later ones leave nothing; of boxes nobody knows yet what they will cover."""
    exact = [layer for layer in layers if layer.found.kind != "box"]
    covered: NDArray[np.bool_] = np.zeros_like(exact[0].pixels) if exact else np.zeros(0, bool)
    hidden = []
    for layer in reversed(exact):
        if not (layer.pixels & ~covered).any():
            hidden.append(layer)
        covered = covered | layer.pixels
    return hidden[::-1]


def _prompt(frame: _Frame, objects: Sequence[PromptObject]) -> PromptSource:
    return PromptSource(frame_index=frame.index, objects=tuple(objects))


def _row(
    video: AnnotatedVideo,
    source: Source,
    frames: Sequence[_Frame],
    prompts: Sequence[PromptSource],
    classes: Mapping[int, str],
    more: Mapping[str, object],
) -> VideoTask:
    if not any(prompt.objects for prompt in prompts):
        raise InvalidInput(f"{video.where}: no mask has a pixel; paint one, or leave {video.video_id} out with --set")
    named = {str(number): name for number, name in sorted(classes.items()) if name}
    height, width = frames[0].size()
    return VideoTask(
        video_id=video.video_id,
        video_uri=source.url,
        prompts=tuple(prompts),
        num_frames=len(source.names) or None,
        height=height,
        width=width,
        metadata=({"classes": named} if named else {}) | dict(more),
    )
