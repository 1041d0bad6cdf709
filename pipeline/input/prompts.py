"""The prompts of one video: what its row of the manifest gives, checked and put together by frame.

Legend: H, W size of the video's pictures in pixels.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model.result import VOID, Labels, Prompt
from pipeline.errors import InvalidInput, InvalidPrompt
from pipeline.input.box_masks import BoxMasks, Improve, mask_of_box
from pipeline.input.frames import Rgb
from pipeline.input.manifest import PromptSource, VideoTask
from pipeline.input.masks import ids_in, read_mask
from pipeline.input.objects import PromptObject
from pipeline.input.pictures import most_bytes
from pipeline.input.shapes import Mask, mask_of_shape, pixels_of_box
from pipeline.storage.store import read_url


@dataclass(frozen=True, kw_only=True)
class FramePrompt(Prompt):
    """What all prompts of a frame say, and how well it is known."""

    approximate: frozenset[int] = field(default=frozenset())
    """Ids whose mask follows a box instead of the object."""
    overlap: int = 0
    """Pixels that several objects were given; the last of them has them."""

    def approximations(self) -> dict[int, bool]:
        """By object whether its mask follows a box."""
        return {object_id: object_id in self.approximate for object_id in self.object_ids}


class Prompts(Mapping[int, FramePrompt]):
    """The prompts of one video by ascending frame index, one a frame.

    All are checked when this is made; kept are compressed masks and shapes, so that memory does not grow with the size
    of the pictures. A prompt is put together when it is asked for. Of boxes `prompts[frame_index]` knows no more than
    the box: `on` looks at the picture too.
    """

    def __init__(
        self, task: VideoTask, height: int, width: int, *, binary_masks: bool, box_masks: BoxMasks = "network"
    ) -> None:
        self._size = (height, width)
        self._binary_masks = binary_masks
        self._box_masks = box_masks
        self._sources: dict[int, list[tuple[PromptSource, bytes]]] = {}
        self._ids: dict[int, tuple[int, ...]] = {}
        for source in task.prompts:
            data = b"" if source.mask_uri is None else _read(source.mask_uri, most_bytes(height * width))
            self._sources.setdefault(source.frame_index, []).append((source, data))
        for frame_index in self._sources:
            self._ids[frame_index] = self[frame_index].object_ids
        self.object_ids = tuple(sorted({object_id for ids in self._ids.values() for object_id in ids}))
        """All object ids that the prompts speak for, ascending."""

    def on(self, frame_index: int, rgb: Rgb, improve: Improve | None = None) -> FramePrompt | None:
        """The prompt of a frame whose picture is `rgb` [H, W, 3], if it has one.

        `improve`: what makes masks of boxes better; without it `network` is what `grabcut` is.

        Raises InvalidPrompt where an object has no pixel left under others, and as `improve`.
        """
        if frame_index not in self._sources:
            return None
        return self._combined(frame_index, rgb, improve)

    def by_object(self) -> dict[int, list[int]]:
        """The frames of each object's prompts, ascending, without opening them again."""
        return {name: sorted(frame for frame, ids in self._ids.items() if name in ids) for name in self.object_ids}

    def __getitem__(self, frame_index: int) -> FramePrompt:
        return self._combined(frame_index, None)

    def __iter__(self) -> Iterator[int]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)

    def _combined(self, frame_index: int, rgb: Rgb | None, improve: Improve | None = None) -> FramePrompt:
        sources = self._sources[frame_index]
        layers = [self._prompt(source, data, rgb, improve) for source, data in sources]
        combined, name = layers[0], f"frame {frame_index}"
        for layer in layers[1:]:
            combined = _combine(combined, layer, name, strict=not any(source.objects for source, _ in sources))
        if rgb is not None or not any(source.has_boxes for source, _ in sources):
            _check_seen(combined.labels, {i for layer in layers for i in ids_in(layer.labels)}, name)
        return combined

    def _prompt(self, source: PromptSource, data: bytes, rgb: Rgb | None, improve: Improve | None) -> FramePrompt:
        if source.mask_uri is None:
            return self._drawn(source, rgb, improve)
        name = _name(source.mask_uri)
        labels = read_mask(data, name, binary_masks=self._binary_masks, size=self._size)
        return _spoken_for(labels, source, name)

    def _drawn(self, source: PromptSource, rgb: Rgb | None, improve: Improve | None) -> FramePrompt:
        """Later objects over earlier ones."""
        labels: Labels = np.zeros(self._size, np.int32)
        overlap, shown, approximate = 0, set(), set()
        for given in source.objects:
            try:
                mask, guessed = self._mask(given, rgb, improve)
            except InvalidPrompt as error:
                raise error.about(f"frame {source.frame_index}, object {given.object_id}") from error
            overlap += int(np.count_nonzero(labels[mask]))
            labels[mask] = given.object_id
            shown |= {given.object_id} if mask.any() else set()
            approximate |= {given.object_id} if guessed else set()
        if rgb is not None or not source.has_boxes:
            _check_seen(labels, shown, f"frame {source.frame_index}")
        return FramePrompt(
            labels=labels,
            object_ids=source.known_ids or (),
            approximate=frozenset(approximate),
            overlap=overlap,
        )

    def _mask(self, given: PromptObject, rgb: Rgb | None, improve: Improve | None) -> tuple[Mask, bool]:
        if given.kind != "box":
            return mask_of_shape(given, self._size), False
        return mask_of_box(pixels_of_box(given, self._size), self._size, self._box_masks, rgb, improve)


def load_prompts(
    task: VideoTask, height: int, width: int, *, binary_masks: bool = False, box_masks: BoxMasks = "network"
) -> Prompts:
    """The prompts of a video of `height` x `width` pixels.

    Labels [height, width] hold 0, the prompt's object ids and 255: what a mask shows of other ids is left out.
    An id of `object_ids` without a pixel is kept: the object is not in this frame. Follows the design,
    section 6. Raises InvalidPrompt, StoreUnavailable.
    """
    return Prompts(task, height, width, binary_masks=binary_masks, box_masks=box_masks)


def _spoken_for(labels: Labels, source: PromptSource, name: str) -> FramePrompt:
    object_ids = source.object_ids or ids_in(labels)
    if not object_ids:
        raise InvalidPrompt(
            f"{name}: has no object; prompt another frame, or name in object_ids what is not in frame "
            f"{source.frame_index}"
        )
    if not set(ids_in(labels)) <= set(object_ids):
        labels = np.where(np.isin(labels, (*object_ids, VOID)), labels, 0)
    return FramePrompt(labels=labels, object_ids=object_ids)


def _read(uri: str, most_bytes: int) -> bytes:
    try:
        return read_url(uri, most_bytes)
    except FileNotFoundError:
        raise InvalidPrompt(f"{_name(uri)}: no such file; correct mask_uri or put the mask there") from None
    except InvalidInput as error:
        raise InvalidPrompt(f"{_name(uri)}: {error}") from error


def _name(uri: str) -> str:
    return f"mask {uri}"


def _check_seen(labels: Labels, shown: set[int], name: str) -> None:
    """Nobody means an object that others hide: without a pixel it would count as gone."""
    if hidden := sorted(shown.difference(ids_in(labels))):
        raise InvalidPrompt(f"{name}, object {hidden[0]}: lies wholly under later objects of its frame; put it last")


def _combine(one: FramePrompt, other: FramePrompt, name: str, *, strict: bool) -> FramePrompt:
    """Both prompts of a frame, of different objects: void is what no mask gives to an object and some mask calls void.

    Files that contradict each other are refused (`strict`), as there is no saying which is right.
    """
    if both := sorted(set(one.object_ids).intersection(other.object_ids)):
        raise InvalidPrompt(f"{name}, object {both[0]}: is in two prompts of this frame; keep one of them")
    contested = int(np.count_nonzero(_objects(one) & _objects(other)))
    if contested and strict:
        raise InvalidPrompt(
            f"{name}: its masks give {contested} pixels to two objects; give every pixel to one of them"
        )
    labels = np.where(_objects(other) | (one.labels == 0), other.labels, one.labels)
    return FramePrompt(
        labels=labels,
        object_ids=tuple(sorted({*one.object_ids, *other.object_ids})),
        approximate=one.approximate | other.approximate,
        overlap=one.overlap + other.overlap + contested,
    )


def _objects(prompt: Prompt) -> NDArray[np.bool_]:
    return np.isin(prompt.labels, prompt.object_ids)
