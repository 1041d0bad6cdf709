"""SA-V: `VIDEO_manual.json`, or `VIDEO_auto.json`, of annotated frames the run lengths of every object.

Format: https://ai.meta.com/datasets/segment-anything-video/. Every fourth frame is annotated there; which ones here,
the number of frames says, or `first_frame` and `every` that exports of this project write. The video lies beside it as
`VIDEO.mp4`, or as pictures in `JPEGImages_24fps/VIDEO/`.
"""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from jobs.datasets import listing
from jobs.datasets.annotations import shapes
from jobs.datasets.annotations.annotated import AnnotatedFrame, AnnotatedVideo, Dataset, Drawn
from jobs.datasets.annotations.documents import read_json_object
from jobs.datasets.annotations.paths import is_name
from pipeline.errors import InvalidInput
from pipeline.storage.store import Store
from pipeline.storage.urls import absolute_url, name_of, parent_url

_WHAT = "SA-V's JSON file of masklets"
_USUAL = 4
_SUFFIXES = ("_manual.json", "_auto.json")


def read(source: str) -> Dataset:
    """The videos of a folder of such files, the drawn ones before the automatic, or of one file.

    Raises InvalidInput, StoreUnavailable.
    """
    url = absolute_url(source)
    if url.endswith(".json"):
        root, names = Store(parent_url(url)), [name_of(url)]
    else:
        root = Store(url)
        names = next((found for suffix in _SUFFIXES if (found := listing.files(root, suffix))), [])
    if not names:
        raise InvalidInput(f"{url}: has no *{' and no *'.join(_SUFFIXES)}; name a folder of SA-V's files")
    videos = [_video(root, name) for name in names]
    return Dataset(root=root, images=("JPEGImages_24fps", ""), videos=videos)


def _video(root: Store, name: str) -> AnnotatedVideo:
    url = root.url_of(name)
    content = read_json_object(url, _WHAT, ("masklet", "masklet_id"))
    masklets, ids = content["masklet"], content["masklet_id"]
    if not _are_lists(masklets) or not isinstance(ids, list):
        raise InvalidInput(f"{url}: masklet is no list of frames, or masklet_id no list; export it again")
    first, every = _spread(content, len(masklets), url)
    stem = next((name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix)), listing.stem(name))
    frames = [
        AnnotatedFrame(
            drawn=_drawn(masks, ids, f"{url}: frame {place} of masklet"),
            index=first + every * place,
            place=place,
            size=_size(content, url),
        )
        for place, masks in enumerate(masklets)
    ]
    video_id = content.get("video_id", stem)
    if not is_name(video_id):
        raise InvalidInput(f"{url}: video_id is {video_id!r}; give the video's name")
    return AnnotatedVideo(video_id=video_id, where=url, folders=(stem,), frames=frames)


def _are_lists(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, list) for one in value)


def _size(content: Mapping[str, Any], url: str) -> tuple[int, int] | None:
    height, width = content.get("video_height"), content.get("video_width")
    if height is None or width is None:
        return None
    return int(shapes.number(height, url, "video_height")), int(shapes.number(width, url, "video_width"))


def _spread(content: Mapping[str, Any], frames: int, url: str) -> tuple[int, int]:
    """The first annotated frame of the video, and the distance of the next."""
    first, every = content.get("first_frame", 0), content.get("every")
    if every is None:
        every = _every(shapes.number(content.get("video_frame_count", frames), url, "video_frame_count"), frames)
    if type(first) is not int or type(every) is not int or first < 0 or every < 1:
        raise InvalidInput(f"{url}: first_frame {first!r} and every {every!r} are no numbers of frames; correct them")
    return first, every


def _every(frames: float, annotated: int) -> int:
    if ceil(frames / _USUAL) == annotated:
        return _USUAL
    return max(1, ceil(frames / annotated)) if annotated else 1


def _drawn(masks: Sequence[Any], ids: Sequence[Any], where: str) -> list[Drawn]:
    if len(masks) != len(ids):
        raise InvalidInput(f"{where}: has {len(masks)} masks for {len(ids)} masklet_id; export it again")
    return [
        _masklet(mask, number, f"{where}, masklet {number}")
        for mask, number in zip(masks, ids, strict=True)
        if mask is not None
    ]


def _masklet(mask: Any, number: Any, where: str) -> Drawn:
    if not isinstance(number, int | str):
        raise InvalidInput(f"{where}: its id is {number!r}; give a number")
    return Drawn(where=where, class_name="", draw=lambda size: shapes.of_rle(mask, size, where), track=number)
