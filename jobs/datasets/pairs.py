"""The layout of pairs: `NAME.mp4` (or another video) beside `NAME.png`, the mask of frame 0."""

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.datasets import listing
from pipeline.errors import InvalidInput
from pipeline.storage.store import Store

VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")
_MASK_SUFFIX = ".png"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Names of two files in one folder."""

    name: str
    """Of both, without suffix."""
    video: str
    mask: str


def read_pairs(folder: Store) -> list[Pair]:
    """The pairs in a folder, in natural order, at least one. Raises InvalidInput that lists what has no partner."""
    videos, masks = listing.files(folder, VIDEO_SUFFIXES), listing.files(folder, _MASK_SUFFIX)
    _check(folder.url, videos, masks)
    mask_of = {listing.stem(mask): mask for mask in masks}
    return [Pair(name=stem, video=video, mask=mask_of[stem]) for video in videos for stem in [listing.stem(video)]]


def _check(url: str, videos: Sequence[str], masks: Sequence[str]) -> None:
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
        faults.append(f"no video ({', '.join(VIDEO_SUFFIXES)})")
    if faults:
        raise InvalidInput(f"{url}: {'; '.join(faults)}; every NAME.ext needs its NAME.png, the mask of frame 0")
