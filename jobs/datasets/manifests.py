"""A manifest from the folders of a dataset (design, section 6)."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

from jobs.datasets.annotations.build import tasks_of
from jobs.datasets.annotations.registry import READERS
from jobs.datasets.davis import DavisSequence, listed_names, read_sequences
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
    COCO = "coco"
    YOUTUBE_VIS = "youtube-vis"
    YOLO = "yolo"
    CVAT = "cvat"
    LABEL_STUDIO = "label-studio"
    LABELME = "labelme"
    SA_V = "sa-v"
    """These from COCO on: what annotation tools write, in `annotations/`."""


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
    images: str | None = None,
    tell: Callable[[str], None] = lambda note: None,
) -> int:
    """Write the manifest of the dataset at `source` to `output` (paths or URLs) and return its number of videos.

    `layout` and `prompts` are values of Layout and PromptChoice. `set_file`: a list of video names, one a line, not for
    pairs. `resolution`: a folder name, for davis and youtube-vos. `binary_masks`: 255 is the object; `segment` must be
    told too. `images`: where the pictures or videos of annotations lie, if not beside them. `tell` hears what of
    annotations is not taken.
    Raises InvalidInput that names what is missing, InvalidPrompt for a mask, StoreUnavailable, ValueError for an
    unknown layout or choice of prompts.
    """
    check_format(output)
    known, choice = Layout(layout), PromptChoice(prompts)
    _check_options(known, set_file, resolution, binary_masks, images)
    if known in READERS:
        only = listed_names(set_file, "--") if set_file is not None else None
        every = choice is PromptChoice.ALL
        tasks = tasks_of(known, source, images=images, only=only, every_frame=every, tell=tell)
    elif known is Layout.PAIRS:
        folder = Store(source)
        tasks = [_of_pair(folder, pair, binary_masks) for pair in read_pairs(folder)]
    else:
        sequences = read_sequences(source, set_file=set_file, resolution=resolution)
        tasks = [_of_sequence(sequence, choice, binary_masks) for sequence in sequences]
    if known is Layout.YOUTUBE_VOS:
        tasks = _with_categories(Store(source), tasks)
    write_manifest(output, tasks)
    return len(tasks)


def _check_options(
    layout: Layout, set_file: str | None, resolution: str | None, binary_masks: bool, images: str | None
) -> None:
    """Raise InvalidInput for an option that the layout has no use for."""
    of_folders, annotated = layout in (Layout.DAVIS, Layout.YOUTUBE_VOS), layout in READERS
    useless = {
        "--set": set_file is not None and layout is Layout.PAIRS,
        "--resolution": resolution is not None and not of_folders,
        "--binary-masks": binary_masks and annotated,
        "--images": images is not None and not annotated,
    }
    for option in (option for option, is_useless in useless.items() if is_useless):
        raise InvalidInput(f"{option} does not belong to the layout {layout}: leave it out for {layout}")


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
