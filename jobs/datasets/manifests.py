"""A manifest from the folders of a dataset (design, section 6)."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum

from jobs.datasets import listing
from pipeline.errors import InvalidInput
from pipeline.input.frame_folder import PICTURE_CODECS
from pipeline.input.manifest import PromptSource, VideoTask, write_manifest
from pipeline.input.manifest_files import check_format
from pipeline.input.masks import ids_in, read_mask
from pipeline.storage.store import Store, read_url
from pipeline.storage.urls import absolute_url

_FRAMES, _MASKS = "JPEGImages", "Annotations"
_CATEGORIES = "meta.json"
_MASK_SUFFIX = ".png"
_VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")
_READERS = 16


class Layout(StrEnum):
    """How a dataset lies in its folder."""

    DAVIS = "davis"
    """`JPEGImages/[RESOLUTION/]VIDEO/*.jpg` and `Annotations/[RESOLUTION/]VIDEO/*.png`."""
    YOUTUBE_VOS = "youtube-vos"
    """The same without resolutions, objects may come later, and `meta.json` names their categories."""
    PAIRS = "pairs"
    """`NAME.mp4` (or another video) beside `NAME.png`, the mask of frame 0."""


class PromptChoice(StrEnum):
    """Which masks of a dataset become prompts."""

    FIRST = "first"
    """Each object's first mask."""
    ALL = "all"
    """Every mask from the first object on; an object that a mask lacks is not in that frame."""


@dataclass(frozen=True, kw_only=True)
class _Mask:
    frame_index: int
    uri: str
    object_ids: tuple[int, ...]
    height: int
    width: int


def build(
    layout: str,
    source: str,
    output: str,
    *,
    prompts: str = "first",
    set_file: str | None = None,
    resolution: str | None = None,
    binary_masks: bool = False,
) -> int:
    """Write the manifest of the dataset at `source` to `output` (paths or URLs) and return its number of videos.

    `layout` and `prompts` are values of Layout and PromptChoice. `set_file`, a list of sequence names (one a line), and
    `resolution`, a folder name, belong to davis and youtube-vos. `binary_masks`: 255 is the object; `segment` must be
    told too.
    Raises InvalidInput that names what is missing, InvalidPrompt for a mask, StoreUnavailable, ValueError for an
    unknown layout or choice of prompts.
    """
    check_format(output)
    root = Store(source)
    if Layout(layout) is not Layout.PAIRS:
        tasks = _davis_tasks(root, PromptChoice(prompts), set_file, resolution, binary_masks)
        tasks = _with_categories(root, tasks) if Layout(layout) is Layout.YOUTUBE_VOS else tasks
    elif set_file is not None or resolution is not None:
        raise InvalidInput(
            "--set and --resolution belong to the layouts davis and youtube-vos: leave them out for pairs"
        )
    else:
        tasks = _pairs_tasks(root, binary_masks)
    write_manifest(output, tasks)
    return len(tasks)


def _davis_tasks(
    root: Store, prompts: PromptChoice, set_file: str | None, resolution: str | None, binary_masks: bool
) -> list[VideoTask]:
    level = _resolution_level(root, resolution)
    frames = Store(root.url_of("/".join((_FRAMES, *level))))
    masks = Store(root.url_of("/".join((_MASKS, *level))))
    names = listing.folders(frames) if set_file is None else _listed_names(set_file)
    _require(names, listing.folders(frames), frames.url)
    _require(names, listing.folders(masks), masks.url)
    return [_davis_task(frames, masks, name, prompts, binary_masks) for name in names]


def _with_categories(root: Store, tasks: Sequence[VideoTask]) -> list[VideoTask]:
    """What `meta.json` beside the folders calls the objects, as `metadata`; unchanged where there is none."""
    try:
        videos = json.loads(root.get(_CATEGORIES))["videos"]
        return [replace(task, metadata=_classes(videos.get(task.video_id, {}))) for task in tasks]
    except FileNotFoundError:
        return list(tasks)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise InvalidInput(
            f"{root.url_of(_CATEGORIES)} is no list of YouTube-VOS categories ({error!r}): correct or remove it"
        ) from error


def _classes(video: Mapping[str, Mapping[str, Mapping[str, str]]]) -> dict[str, dict[str, str]]:
    names = {object_id: found["category"] for object_id, found in video.get("objects", {}).items()}
    return {"classes": names} if names else {}


def _resolution_level(root: Store, resolution: str | None) -> tuple[str, ...]:
    """The folder between JPEGImages and the sequences, or nothing."""
    folders = listing.folders(root, _FRAMES)
    if not folders:
        raise InvalidInput(f"{root.url} has no {_FRAMES} with folders in it: name the folder that holds it")
    nested = bool(listing.folders(root, f"{_FRAMES}/{folders[0]}"))
    if resolution is None and not nested:
        return ()
    if resolution is None and len(folders) == 1:
        return (folders[0],)
    if nested and resolution in folders:
        return (str(resolution),)
    hint = f"choose one of {', '.join(folders)} with --resolution" if nested else "leave out --resolution"
    raise InvalidInput(f"{root.url_of(_FRAMES)} has {len(folders) if nested else 'no'} resolution folders: {hint}")


def _listed_names(set_file: str) -> list[str]:
    try:
        lines = read_url(set_file).decode(errors="replace").splitlines()
    except FileNotFoundError:
        raise InvalidInput(f"{absolute_url(set_file)}: no such file; correct --set") from None
    names = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not names:
        raise InvalidInput(f"{absolute_url(set_file)}: lists no sequence; write one name a line")
    return names


def _require(names: Sequence[str], present: Sequence[str], where: str) -> None:
    known = set(present)
    missing = [name for name in names if name not in known]
    if missing:
        raise InvalidInput(f"{where} lacks the folders {listing.few(missing)}: add them, or leave them out with --set")


def _davis_task(frames: Store, masks: Store, name: str, prompts: PromptChoice, binary_masks: bool) -> VideoTask:
    frame_names = listing.files(frames, tuple(PICTURE_CODECS), name)
    found = _read_masks(Store(masks.url_of(name)), _positions(frames.url_of(name), frame_names), binary_masks)
    sources = tuple(_first_prompts(found) if prompts is PromptChoice.FIRST else _all_prompts(found))
    if not sources:
        raise InvalidInput(f"{masks.url_of(name)}: no mask shows an object; leave {name} out with --set")
    return VideoTask(
        video_id=name,
        video_uri=frames.url_of(name),
        prompts=sources,
        num_frames=len(frame_names),
        height=found[0].height,
        width=found[0].width,
    )


def _positions(url: str, frame_names: Sequence[str]) -> dict[str, int]:
    """Frame index by name without suffix."""
    positions = {listing.stem(name): index for index, name in enumerate(frame_names)}
    if len(positions) < len(frame_names):
        raise InvalidInput(f"{url}: frames share a name up to the suffix; remove the copies")
    return positions


def _read_masks(folder: Store, positions: dict[str, int], binary_masks: bool) -> list[_Mask]:
    names = listing.files(folder, (_MASK_SUFFIX,))
    strangers = [name for name in names if listing.stem(name) not in positions]
    if strangers:
        raise InvalidInput(
            f"{folder.url}: no frames belong to {listing.few(strangers)}; names must match up to the suffix"
        )
    # Waiting for a store takes longer than decoding.
    with ThreadPoolExecutor(_READERS) as readers:
        return list(
            readers.map(lambda name: _read_mask(folder, name, positions[listing.stem(name)], binary_masks), names)
        )


def _read_mask(folder: Store, name: str, frame_index: int, binary_masks: bool) -> _Mask:
    uri = folder.url_of(name)
    labels = read_mask(folder.get(name), uri, binary_masks=binary_masks)
    height, width = labels.shape
    return _Mask(frame_index=frame_index, uri=uri, object_ids=ids_in(labels), height=height, width=width)


def _first_prompts(masks: Iterable[_Mask]) -> Iterator[PromptSource]:
    known: set[int] = set()
    for mask in masks:
        new = set(mask.object_ids) - known
        known |= new
        if new:
            yield _prompt(mask, new)


def _all_prompts(masks: Iterable[_Mask]) -> Iterator[PromptSource]:
    known: set[int] = set()
    for mask in masks:
        known |= set(mask.object_ids)
        if known:
            yield _prompt(mask, known)


def _prompt(mask: _Mask, object_ids: Iterable[int]) -> PromptSource:
    return PromptSource(frame_index=mask.frame_index, mask_uri=mask.uri, object_ids=tuple(sorted(object_ids)))


def _pairs_tasks(folder: Store, binary_masks: bool) -> list[VideoTask]:
    videos, masks = listing.files(folder, _VIDEO_SUFFIXES), listing.files(folder, (_MASK_SUFFIX,))
    _check_pairs(folder.url, videos, masks)
    mask_of = {listing.stem(mask): mask for mask in masks}
    return [_pairs_task(folder, video, mask_of[listing.stem(video)], binary_masks) for video in videos]


def _check_pairs(url: str, videos: Sequence[str], masks: Sequence[str]) -> None:
    of_videos, of_masks = {listing.stem(name) for name in videos}, {listing.stem(name) for name in masks}
    lonely_videos = [name for name in videos if listing.stem(name) not in of_masks]
    lonely_masks = [name for name in masks if listing.stem(name) not in of_videos]
    faults = []
    if lonely_videos:
        faults.append(f"no mask beside {listing.few(lonely_videos)}")
    if lonely_masks:
        faults.append(f"no video beside {listing.few(lonely_masks)}")
    if not faults and (len(of_videos) < len(videos) or len(of_masks) < len(masks)):
        faults.append("several videos or masks share a name up to the suffix")
    if not videos:
        faults.append(f"no video ({', '.join(_VIDEO_SUFFIXES)})")
    if faults:
        raise InvalidInput(f"{url}: {'; '.join(faults)}; every NAME.ext needs its NAME.png, the mask of frame 0")


def _pairs_task(folder: Store, video: str, mask: str, binary_masks: bool) -> VideoTask:
    found = _read_mask(folder, mask, 0, binary_masks)
    prompts = tuple(_first_prompts([found]))
    if not prompts:
        raise InvalidInput(f"{found.uri}: shows no object; draw the objects of frame 0, or remove the pair")
    return VideoTask(
        video_id=listing.stem(video),
        video_uri=folder.url_of(video),
        prompts=prompts,
        height=found.height,
        width=found.width,
    )
