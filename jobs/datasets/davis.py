"""The layout of DAVIS and YouTube-VOS, read and written here alone:

JPEGImages/[RESOLUTION/]NAME/*.jpg      the frames of a sequence, in natural order; also .jpeg and .png
Annotations/[RESOLUTION/]NAME/*.png     masks of all or some of them, by their names up to the suffix
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from jobs.datasets import listing
from jobs.pictures.encode import encode_jpeg, encode_palette_png
from jobs.pictures.label_maps import LabelMap
from pipeline.errors import InvalidInput
from pipeline.input.frame_folder import PICTURE_CODECS
from pipeline.input.frames import Rgb
from pipeline.storage.store import Store, read_url
from pipeline.storage.urls import absolute_url

_FRAMES, _MASKS = "JPEGImages", "Annotations"
_MASK_SUFFIX = ".png"
RENUMBERED = "object_ids.json"
"""Beside masks: by sequence, and by number in its masks, the ids of objects that are too large for a palette."""
_READERS = 16
_JPEG_QUALITY = 92


@dataclass(frozen=True, kw_only=True)
class DavisSequence:
    """A sequence: a folder of frames, and one of masks with at least one mask."""

    name: str
    frames: Store
    frame_names: Sequence[str]
    """In natural order."""
    masks: Store
    mask_names: Mapping[int, str]
    """By the index of their frame, ascending."""


def read_sequences(
    root: str, *, set_file: str | None = None, resolution: str | None = None, prefix: str = "--"
) -> list[DavisSequence]:
    """The sequences of the dataset at `root`, at least one: all, or those that `set_file` lists, a name a line.

    Both are paths or URLs. `resolution` is the folder above the sequences; where there is only one it need not be
    named. `prefix`: what the options `set` and `resolution` start with, for messages. Frames and masks are listed,
    not read. Raises InvalidInput that names what is missing, StoreUnavailable.
    """
    store = Store(root)
    level = _level(store, _FRAMES, resolution, prefix)
    frames, masks = _part(store, _FRAMES, level), _part(store, _MASKS, level)
    names = _all_names(frames) if set_file is None else listed_names(set_file, prefix)
    for folder in (frames, masks):
        _require(names, folder, prefix)
    with ThreadPoolExecutor(_READERS) as readers:
        return list(readers.map(lambda name: _sequence(frames, masks, name, prefix), names))


def annotations(root: str, resolution: str | None = None) -> Store:
    """The folder with a folder of masks for each sequence, for who needs no frames. Raises as `read_sequences`."""
    store = Store(root)
    return _part(store, _MASKS, _level(store, _MASKS, resolution, "--"))


def mask_files(folder: Store, name: str) -> list[str]:
    """The masks of a sequence in the folder of all annotations, in natural order."""
    return listing.files(folder, _MASK_SUFFIX, name)


def write_sequence(store: Store, name: str, frames: Iterable[Rgb], labels: Iterable[LabelMap]) -> None:
    """Write a sequence: frames [H, W, 3] as JPEG, label maps [H, W] as palette PNG, numbered from 0."""
    for t, (frame, label_map) in enumerate(zip(frames, labels, strict=True)):
        store.put(f"{_FRAMES}/{name}/{t:05d}.jpg", encode_jpeg(frame, quality=_JPEG_QUALITY))
        store.put(f"{_MASKS}/{name}/{t:05d}{_MASK_SUFFIX}", encode_palette_png(label_map))


def _level(root: Store, part: str, resolution: str | None, prefix: str) -> str:
    """The resolution folder between `part` and the sequences; "" where there is none."""
    folders = listing.folders(root, part)
    if not folders:
        raise InvalidInput(f"{root.url} has no {part} with folders in it: name the folder that holds it")
    if not listing.folders(root, f"{part}/{folders[0]}"):
        if resolution is None:
            return ""
        raise InvalidInput(f"{root.url_of(part)} has no resolution folders: leave out {prefix}resolution")
    level = folders[0] if resolution is None and len(folders) == 1 else resolution
    if level not in folders:
        shown = listing.few(folders)
        raise InvalidInput(f"{root.url_of(part)} has the resolutions {shown}: choose one with {prefix}resolution")
    return level


def _part(root: Store, part: str, level: str) -> Store:
    return Store(root.url_of(f"{part}/{level}" if level else part))


def _all_names(frames: Store) -> list[str]:
    names = listing.folders(frames)
    if not names:
        raise InvalidInput(f"{frames.url} has no sequence: put a folder of frames for each there")
    return names


def listed_names(set_file: str, prefix: str) -> list[str]:
    """The names in a list, one a line, at least one. Raises InvalidInput; `prefix` as of `read_sequences`."""
    try:
        lines = read_url(set_file).decode(errors="replace").splitlines()
    except FileNotFoundError:
        raise InvalidInput(f"{absolute_url(set_file)}: no such file; correct {prefix}set") from None
    names = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not names:
        raise InvalidInput(f"{absolute_url(set_file)}: lists no sequence; write one name a line")
    return names


def _require(names: Sequence[str], folder: Store, prefix: str) -> None:
    present = set(listing.folders(folder))
    if missing := [name for name in names if name not in present]:
        shown = listing.few(missing)
        raise InvalidInput(f"{folder.url} lacks the folders {shown}: add them, or leave them out with {prefix}set")


def _sequence(frames: Store, masks: Store, name: str, prefix: str) -> DavisSequence:
    frame_names = listing.files(frames, tuple(PICTURE_CODECS), name)
    of_stem = listing.by_stem(mask_files(masks, name), "masks", masks.url_of(name))
    if not of_stem:
        raise InvalidInput(f"{masks.url_of(name)}: holds no mask; add some, or leave {name} out with {prefix}set")
    known = listing.by_stem(frame_names, "frames", frames.url_of(name))
    if strangers := [mask for stem, mask in of_stem.items() if stem not in known]:
        shown = listing.few(strangers)
        raise InvalidInput(f"{masks.url_of(name)}: no frames belong to {shown}; names must match up to the suffix")
    return DavisSequence(
        name=name,
        frames=Store(frames.url_of(name)),
        frame_names=frame_names,
        masks=Store(masks.url_of(name)),
        mask_names={index: of_stem[stem] for index, stem in enumerate(known) if stem in of_stem},
    )
