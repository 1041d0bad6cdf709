"""LabelMe: a JSON file beside each picture, with its shapes; a folder is a video, and so is a folder of folders.

What the program writes: `imagePath`, `imageHeight`, `imageWidth`, and `shapes` of `label`, `points`, `shape_type` and
`group_id`. Where every shape of a video has a `group_id`, it is the object's id in all frames.
"""

import base64
import binascii
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import hypot
from typing import Any

import cv2
import numpy as np

from jobs.datasets import listing
from jobs.datasets.annotations import shapes
from jobs.datasets.annotations.annotated import AnnotatedFrame, AnnotatedVideo, Dataset, Drawn, Shape, Size
from jobs.datasets.annotations.documents import read_json_object
from jobs.datasets.annotations.paths import base_name
from pipeline.errors import InvalidInput
from pipeline.input.pictures import size_of
from pipeline.storage.store import Store
from pipeline.storage.urls import name_of

_WHAT = "LabelMe's JSON file of a picture"
_READERS = 16
Points = Sequence[Sequence[float]]


def read(source: str) -> Dataset:
    """The videos of a folder of JSON files, or of the folders in it. Raises InvalidInput, StoreUnavailable."""
    root = Store(source)
    found = {folder: listing.files(root, ".json", folder) for folder in ("", *listing.folders(root))}
    found = {folder: [name for name in names if not name.startswith("_")] for folder, names in found.items()}
    if not any(found.values()):
        raise InvalidInput(f"{root.url}: has no *.json file, and none in its folders; name a folder of {_WHAT}s")
    left_out: Counter[str] = Counter()
    videos = [_video(root, folder, names, left_out) for folder, names in found.items() if names]
    return Dataset(root=root, images=("", "images"), videos=videos, left_out=left_out)


def _video(root: Store, folder: str, names: Sequence[str], left_out: Counter[str]) -> AnnotatedVideo:
    urls = [root.url_of(f"{folder}/{name}" if folder else name) for name in names]
    with ThreadPoolExecutor(_READERS) as readers:
        contents = list(readers.map(lambda url: read_json_object(url, _WHAT, ("shapes", "imagePath")), urls))
    frames = [_frame(url, content, left_out) for url, content in zip(urls, contents, strict=True)]
    where = root.url_of(folder)
    return AnnotatedVideo(video_id=folder or name_of(root.url), where=where, folders=(folder,), frames=frames)


def _frame(url: str, content: Mapping[str, Any], left_out: Counter[str]) -> AnnotatedFrame:
    if not isinstance(content["shapes"], list):
        raise InvalidInput(f"{url}: shapes is no list; save the file again with LabelMe")
    drawn = []
    for number, shape in enumerate(content["shapes"], 1):
        where = f"{url}: shape {number}"
        if not isinstance(shape, dict):
            raise InvalidInput(f"{where}: is no JSON object; save the file again with LabelMe")
        kind = str(shape.get("shape_type", "polygon"))
        if kind in _DRAW:
            drawn.append(_drawn(shape, kind, where))
        else:
            left_out[f"shapes without an area ({kind})"] += 1
    size = (content.get("imageHeight"), content.get("imageWidth"))
    return AnnotatedFrame(drawn=drawn, picture=base_name(content["imagePath"], url), size=_size(size, url))


def _size(size: tuple[Any, Any], url: str) -> Size | None:
    if None in size:
        return None
    if not all(type(side) is int and side > 0 for side in size):
        raise InvalidInput(
            f"{url}: imageHeight and imageWidth are {size[0]!r} and {size[1]!r}; give the picture's pixels"
        )
    return size


def _drawn(shape: Mapping[str, Any], kind: str, where: str) -> Drawn:
    group = shape.get("group_id")
    if group is not None and not isinstance(group, int | str):
        raise InvalidInput(f"{where}: group_id is {group!r}; give a number")
    return Drawn(
        where=where,
        class_name=str(shape.get("label") or ""),
        draw=partial(_draw, shape, kind, where),
        track=group,
        group=group,
    )


def _draw(shape: Mapping[str, Any], kind: str, where: str, size: Size) -> Shape:
    points = shape.get("points")
    if not isinstance(points, list) or not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise InvalidInput(f"{where}: points are no list of x and y; correct or remove the shape")
    corners = [shapes.numbers(point, where, "points") for point in points]
    if kind != "polygon" and len(corners) != 2:
        raise InvalidInput(f"{where}: a {kind} has {len(corners)} points, it takes 2; draw it again")
    return _DRAW[kind](shape, corners, where, size)


def _polygon(shape: Mapping[str, Any], points: Points, where: str, size: Size) -> Shape:
    return {"polygons": [[value for point in points for value in point]]}


def _rectangle(shape: Mapping[str, Any], points: Points, where: str, size: Size) -> Shape:
    return shapes.box_of_corners(*points[0], *points[1])


def _circle(shape: Mapping[str, Any], points: Points, where: str, size: Size) -> Shape:
    (x, y), (edge_x, edge_y) = points
    radius = hypot(edge_x - x, edge_y - y)
    return shapes.ellipse((x, y), (radius, radius))


def _mask(shape: Mapping[str, Any], points: Points, where: str, size: Size) -> Shape:
    """A PNG in a box whose corners belong to it."""
    (left, top), (right, bottom) = ((round(x), round(y)) for x, y in points)
    height, width = bottom - top + 1, right - left + 1
    try:
        data = base64.b64decode(str(shape.get("mask")), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput(f"{where}: its mask is no PNG in base64 ({error}); save the file again") from error
    if size_of(data) != (height, width) or min(left, top) < 0 or bottom >= size[0] or right >= size[1]:
        raise InvalidInput(
            f"{where}: its mask has the size {size_of(data)} (height, width), its points say {(height, width)} in a "
            f"picture of {size}; save the file again with LabelMe"
        )
    inside = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    if inside is None:
        raise InvalidInput(f"{where}: its mask is a broken PNG; save the file again with LabelMe")
    mask = np.zeros(size, bool)
    mask[top : bottom + 1, left : right + 1] = inside > 0
    return shapes.of_mask(mask)


_DRAW: Mapping[str, Callable[[Mapping[str, Any], Points, str, Size], Shape]] = {
    "polygon": _polygon,
    "rectangle": _rectangle,
    "circle": _circle,
    "mask": _mask,
}
