"""The prompts of one video: the masks that its row of the manifest names, checked and put together by frame."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from model.result import VOID, Labels, Prompt
from pipeline.errors import InvalidInput, InvalidPrompt
from pipeline.input.manifest import PromptSource, VideoTask
from pipeline.input.masks import ids_in, read_mask
from pipeline.input.pictures import most_bytes
from pipeline.storage.store import read_url


class Prompts(Mapping[int, Prompt]):
    """The prompts of one video by ascending frame index, one a frame.

    All are checked when this is made; kept are the compressed masks, so that memory does not grow with the size
    of the pictures. A prompt is decoded when it is asked for.
    """

    def __init__(self, task: VideoTask, height: int, width: int, *, binary_masks: bool) -> None:
        self._size = (height, width)
        self._binary_masks = binary_masks
        self._sources: dict[int, list[tuple[PromptSource, bytes]]] = {}
        ids: set[int] = set()
        for source in task.prompts:
            data = _read(source.mask_uri, most_bytes(height * width))
            self._sources.setdefault(source.frame_index, []).append((source, data))
        for frame_index in self._sources:
            ids.update(self[frame_index].object_ids)
        self.object_ids = tuple(sorted(ids))
        """All object ids that the prompts speak for, ascending."""

    def __getitem__(self, frame_index: int) -> Prompt:
        combined, *others = [self._decoded(source, data) for source, data in self._sources[frame_index]]
        for other in others:
            combined = _combine(combined, other, f"frame {frame_index}")
        return combined

    def __iter__(self) -> Iterator[int]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)

    def _decoded(self, source: PromptSource, data: bytes) -> Prompt:
        name = _name(source.mask_uri)
        labels = read_mask(data, name, binary_masks=self._binary_masks, size=self._size)
        return _spoken_for(labels, source, name)


def load_prompts(task: VideoTask, height: int, width: int, *, binary_masks: bool = False) -> Prompts:
    """The prompts of a video of `height` x `width` pixels.

    Labels [height, width] hold 0, the prompt's object ids and 255: what a mask shows of other ids is left out.
    An id of `object_ids` without a pixel is kept: the object is not in this frame. Follows the design,
    section 6. Raises InvalidPrompt, StoreUnavailable.
    """
    return Prompts(task, height, width, binary_masks=binary_masks)


def _spoken_for(labels: Labels, source: PromptSource, name: str) -> Prompt:
    object_ids = source.object_ids or ids_in(labels)
    if not object_ids:
        raise InvalidPrompt(
            f"{name}: has no object; prompt another frame, or name in object_ids what is not in frame "
            f"{source.frame_index}"
        )
    kept = np.where(np.isin(labels, (*object_ids, VOID)), labels, 0)
    return Prompt(labels=kept, object_ids=object_ids)


def _read(uri: str, most_bytes: int) -> bytes:
    try:
        return read_url(uri, most_bytes)
    except FileNotFoundError:
        raise InvalidPrompt(f"{_name(uri)}: no such file; correct mask_uri or put the mask there") from None
    except InvalidInput as error:
        raise InvalidPrompt(f"{_name(uri)}: {error}") from error


def _name(uri: str) -> str:
    return f"mask {uri}"


def _combine(one: Prompt, other: Prompt, name: str) -> Prompt:
    """Both prompts of one frame as one: void is what no mask gives to an object and some mask calls void."""
    contested = np.count_nonzero(_objects(one) & _objects(other))
    if contested:
        raise InvalidPrompt(
            f"{name}: its masks give {contested} pixels to two objects; give every pixel to one of them"
        )
    labels = np.where(_objects(other) | (one.labels == 0), other.labels, one.labels)
    return Prompt(labels=labels, object_ids=tuple(sorted({*one.object_ids, *other.object_ids})))


def _objects(prompt: Prompt) -> NDArray[np.bool_]:
    return np.isin(prompt.labels, prompt.object_ids)
