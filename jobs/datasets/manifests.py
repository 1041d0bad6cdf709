"""A manifest from the folders of a dataset (design, section 6)."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

from jobs.datasets.davis import DavisSequence, read_sequences
from jobs.datasets.masks import read_labels
from jobs.datasets.pairs import Pair, read_pairs
from jobs.datasets.youtube_vos import read_categories
from pipeline.errors import InvalidInput
from pipeline.input.manifest import PromptSource, VideoTask, write_manifest
from pipeline.input.manifest_files import check_format
from pipeline.input.masks import ids_in
from pipeline.storage.store import Store

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
    known, choice = Layout(layout), PromptChoice(prompts)
    if known is not Layout.PAIRS:
        sequences = read_sequences(source, set_file=set_file, resolution=resolution)
        tasks = [_of_sequence(sequence, choice, binary_masks) for sequence in sequences]
    elif set_file is not None or resolution is not None:
        raise InvalidInput(
            "--set and --resolution belong to the layouts davis and youtube-vos: leave them out for pairs"
        )
    else:
        folder = Store(source)
        tasks = [_of_pair(folder, pair, binary_masks) for pair in read_pairs(folder)]
    if known is Layout.YOUTUBE_VOS:
        tasks = _with_categories(Store(source), tasks)
    write_manifest(output, tasks)
    return len(tasks)


def _of_sequence(sequence: DavisSequence, choice: PromptChoice, binary_masks: bool) -> VideoTask:
    # Waiting for a store takes longer than decoding.
    with ThreadPoolExecutor(_READERS) as readers:
        read = partial(_read_mask, sequence.masks, binary_masks=binary_masks)
        masks = list(readers.map(read, sequence.mask_names.values(), sequence.mask_names))
    prompts = tuple(_first_prompts(masks) if choice is PromptChoice.FIRST else _all_prompts(masks))
    if not prompts:
        raise InvalidInput(f"{sequence.masks.url}: no mask shows an object; leave {sequence.name} out with --set")
    return VideoTask(
        video_id=sequence.name,
        video_uri=sequence.frames.url,
        prompts=prompts,
        num_frames=len(sequence.frame_names),
        height=masks[0].height,
        width=masks[0].width,
    )


def _of_pair(folder: Store, pair: Pair, binary_masks: bool) -> VideoTask:
    mask = _read_mask(folder, pair.mask, 0, binary_masks=binary_masks)
    prompts = tuple(_first_prompts([mask]))
    if not prompts:
        raise InvalidInput(f"{mask.uri}: shows no object; draw the objects of frame 0, or remove the pair")
    return VideoTask(
        video_id=pair.name,
        video_uri=folder.url_of(pair.video),
        prompts=prompts,
        height=mask.height,
        width=mask.width,
    )


def _with_categories(root: Store, tasks: Iterable[VideoTask]) -> list[VideoTask]:
    categories = read_categories(root)
    return [replace(task, metadata=_metadata(categories.get(task.video_id))) for task in tasks]


def _metadata(categories: Mapping[str, str] | None) -> dict[str, object]:
    return {"classes": dict(categories)} if categories else {}


def _read_mask(folder: Store, name: str, frame_index: int, *, binary_masks: bool) -> _Mask:
    labels = read_labels(folder, name, binary_masks=binary_masks)
    height, width = labels.shape
    return _Mask(
        frame_index=frame_index, uri=folder.url_of(name), object_ids=ids_in(labels), height=height, width=width
    )


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
