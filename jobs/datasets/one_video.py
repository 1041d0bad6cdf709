"""One video and its prompts without a manifest: as they are typed in a call."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from pipeline.errors import InvalidInput, InvalidPrompt, UnreadableVideo
from pipeline.input.fields import MOST, MOST_ID, is_object_id
from pipeline.input.frames import MAX_PIXELS
from pipeline.input.inspection import Inspection, inspect
from pipeline.input.manifest import PromptSource, VideoTask
from pipeline.input.objects import PromptObject
from pipeline.storage.store import is_folder
from pipeline.storage.urls import absolute_url, name_of

_MASK = re.compile(r"(?:(\d{1,10})=)?(.+)", re.DOTALL)
_BOX = re.compile(r"\s*(\d{1,10})\s*:([^@]*)(?:@\s*(\d{1,10})\s*)?")


def inspect_call(
    video: str,
    masks: Iterable[str],
    boxes: Iterable[str],
    *,
    binary_masks: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Inspection:
    """The task of a video (path or URL of a file or a folder of frames), opened and without a fault.

    `masks`: `PNG`, of frame 0, or `FRAME=PNG`; `boxes`: `ID:x,y,width,height`, with `@FRAME` unless it is 0; a later
    box lies over an earlier one. Its id is the video's name without suffix. Raises InvalidInput that says what is
    wrong, StoreUnavailable.
    """
    sources = [_mask(text) for text in masks]
    by_frame: dict[int, list[PromptObject]] = defaultdict(list)
    for text in boxes:
        frame_index, box = _box(text)
        if any(other.object_id == box.object_id for other in by_frame[frame_index]):
            raise InvalidPrompt(f"--box {text}: object {box.object_id} has a box on frame {frame_index} already")
        by_frame[frame_index].append(box)
    sources += [PromptSource(frame_index=index, objects=tuple(objects)) for index, objects in by_frame.items()]
    url = absolute_url(video)
    task = VideoTask(
        video_id=_name(url),
        video_uri=url,
        prompts=tuple(sorted(sources, key=lambda source: source.frame_index)),
    )
    found = inspect(task, binary_masks=binary_masks, max_pixels=max_pixels)
    _raise(fault.text for fault in found.faults)
    return found


def _raise(faults: Iterable[str]) -> None:
    if said := list(faults):
        raise InvalidInput("\n".join(said))


def _name(url: str) -> str:
    name = name_of(url)
    if not name:
        raise UnreadableVideo(f"{url} is no video: name a file, or a folder of frames")
    try:
        return name if is_folder(url) else name.rpartition(".")[0] or name
    except FileNotFoundError:
        raise UnreadableVideo(f"{url} does not exist: correct the path of the video") from None


def _mask(text: str) -> PromptSource:
    found = _MASK.fullmatch(text)
    if found is None:
        raise InvalidPrompt(f"--mask {text}: give a PNG, the mask of frame 0, or 90=PNG for frame 90")
    return PromptSource(frame_index=_frame(found[1], f"--mask {text}"), mask_uri=absolute_url(found[2]))


def _box(text: str) -> tuple[int, PromptObject]:
    found = _BOX.fullmatch(text)
    if found is None:
        raise InvalidPrompt(f"--box {text}: expected ID:x,y,width,height, with @FRAME unless it is frame 0")
    object_id = int(found[1])
    if not is_object_id(object_id):
        raise InvalidPrompt(f"--box {text}: {object_id} is no object id, which go from 1 to {MOST_ID} without 255")
    try:
        box = PromptObject.of_box(object_id, _numbers(found[2].split(",")))
    except InvalidPrompt as error:
        raise error.about(f"--box {text}") from error
    except ValueError:
        raise InvalidPrompt(f"--box {text}: expected four numbers x,y,width,height in pixels") from None
    return _frame(found[3], f"--box {text}"), box


def _numbers(texts: Sequence[str]) -> list[float]:
    return [float(text) for text in texts]


def _frame(text: str | None, name: str) -> int:
    frame_index = int(text or 0)
    if frame_index > MOST:
        raise InvalidPrompt(f"{name}: there is no frame {frame_index}")
    return frame_index
