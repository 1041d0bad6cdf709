"""COCO: `images`, `annotations` and `categories` in one JSON file, and beside it the pictures.

Format: https://cocodataset.org/#format-data. Identity over frames is no part of it: tools write `track_id`,
`instance_id`, or `track_id` under `attributes`; videos are named by `videos` and `video_id`, or are folders.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jobs.datasets.annotations import shapes
from jobs.datasets.annotations.annotated import AnnotatedFrame, AnnotatedVideo, Dataset, Drawn, Shape, Size
from jobs.datasets.annotations.documents import key_in, read_json_object
from jobs.datasets.annotations.paths import dataset_of, parts_of
from pipeline.errors import InvalidInput
from pipeline.storage.urls import name_of

_WHAT = "the JSON file of COCO's images, annotations and categories"
_TRACKS = ("track_id", "instance_id")


def read(source: str) -> Dataset:
    """The videos of a COCO file, or of a folder that holds one. Raises InvalidInput, StoreUnavailable."""
    root, url = dataset_of(source, ".json", _WHAT, prefix="instances_")
    content = read_json_object(url, _WHAT, ("images", "annotations", "categories"))
    images = by_id(content["images"], url, "images")
    categories = category_names(content["categories"], url)
    drawn: dict[Any, list[Drawn]] = {number: [] for number in images}
    left_out: Counter[str] = Counter()
    for where, annotation in records(content["annotations"], url, "annotation"):
        if (image := key_in(annotation, "image_id")) not in drawn:
            raise InvalidInput(
                f"{where}: image_id {annotation.get('image_id')!r} is no image of the file; add the image, or remove it"
            )
        if _is_drawn(annotation):
            drawn[image].append(_drawn(annotation, where, categories))
        else:
            left_out["annotations without a mask or box"] += 1
    videos = _videos(content.get("videos"), images, drawn, url, name_of(root.url))
    stem = name_of(url).rpartition(".")[0].removeprefix("instances_")
    return Dataset(root=root, images=(f"images/{stem}", "images", stem, ""), videos=videos, left_out=left_out)


def records(values: object, url: str, what: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """The objects of a list, each with what messages call it. Raises InvalidInput."""
    if not isinstance(values, list):
        raise InvalidInput(f"{url}: {what}s are no list; export the file again")
    for place, value in enumerate(values):
        if not isinstance(value, dict):
            raise InvalidInput(f"{url}: {what} number {place + 1} is no JSON object; export the file again")
        yield f"{url}: {what} {value.get('id', f'number {place + 1}')}", value


def by_id(values: object, url: str, what: str) -> dict[Any, Mapping[str, Any]]:
    """The objects of a list by their `id`. Raises InvalidInput where one has none, or another's."""
    found: dict[Any, Mapping[str, Any]] = {}
    for where, value in records(values, url, what.removesuffix("s")):
        number = value.get("id")
        if not isinstance(number, int | str):
            raise InvalidInput(f"{where}: has no id; export the file again")
        if number in found:
            raise InvalidInput(f"{where}: its id is that of another of the {what}; give each its own")
        found[number] = value
    return found


def category_names(values: object, url: str) -> dict[Any, str]:
    """Names by category id. Raises InvalidInput."""
    found = by_id(values, url, "categories")
    return {number: str(category.get("name", number)) for number, category in found.items()}


def class_of(annotation: Mapping[str, Any], where: str, categories: Mapping[Any, str]) -> str:
    """The class name of an annotation. Raises InvalidInput for a category that is not in the file."""
    number = key_in(annotation, "category_id")
    if number not in categories:
        given = annotation.get("category_id")
        raise InvalidInput(f"{where}: category_id {given!r} is none of the file's categories; add it, or correct this")
    return categories[number]


def size_in(value: Mapping[str, Any], where: str) -> Size | None:
    """`height` and `width`, where both are there. Raises InvalidInput for what are no sizes."""
    height, width = value.get("height"), value.get("width")
    if height is None or width is None:
        return None
    if type(height) is not int or type(width) is not int or height < 1 or width < 1:
        raise InvalidInput(f"{where}: height and width are {height!r} and {width!r}; give the picture's pixels")
    return height, width


def segmentation(value: object, size: Size, where: str) -> Shape:
    """A shape as COCO has it: a list of polygons, or run lengths. Raises InvalidInput."""
    return {"polygons": value} if isinstance(value, list) else shapes.of_rle(value, size, where)


def _is_drawn(annotation: Mapping[str, Any]) -> bool:
    return bool(annotation.get("segmentation") or annotation.get("bbox"))


def _drawn(annotation: Mapping[str, Any], where: str, categories: Mapping[Any, str]) -> Drawn:
    def draw(size: Size) -> Shape:
        if found := annotation.get("segmentation"):
            return segmentation(found, size, where)
        return {"box": annotation["bbox"]}

    name = class_of(annotation, where, categories)
    return Drawn(where=where, class_name=name, draw=draw, track=_track(annotation))


def _track(annotation: Mapping[str, Any]) -> int | str | None:
    attributes = annotation.get("attributes")
    within = key_in(attributes, *_TRACKS) if isinstance(attributes, dict) else None
    own = key_in(annotation, *_TRACKS)
    return within if own is None else own


def _videos(
    named: object, images: Mapping[Any, Mapping[str, Any]], drawn: Mapping[Any, Sequence[Drawn]], url: str, flat: str
) -> list[AnnotatedVideo]:
    names = {number: str(one.get("name", number)) for number, one in by_id(named or [], url, "videos").items()}
    frames: dict[tuple[str, str], list[AnnotatedFrame]] = {}
    for number, image in images.items():
        where = f"{url}: image {number}"
        folder, picture = parts_of(image.get("file_name"), where)
        video_id = names.get(key_in(image, "video_id")) or folder or flat
        frames.setdefault((video_id, folder), []).append(
            AnnotatedFrame(drawn=drawn[number], picture=picture, index=_index(image, where), size=size_in(image, where))
        )
    return [
        AnnotatedVideo(video_id=video_id, where=url, folders=(folder,), frames=found)
        for (video_id, folder), found in frames.items()
    ]


def _index(image: Mapping[str, Any], where: str) -> int | None:
    index = image.get("frame_index")
    if index is not None and (type(index) is not int or index < 0):
        raise InvalidInput(f"{where}: frame_index is {index!r}; give the frame's number in the video, from 0")
    return index
