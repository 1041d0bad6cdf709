"""YOLO: a text file a picture with a line an object, its class and a box or one outline, as shares of the picture.

    data.yaml                       (or another *.yaml with `names`, classes.txt, obj.names): the classes
    labels/[SPLIT/]VIDEO/FRAME.txt  for images/[SPLIT/]VIDEO/FRAME.jpg; or both in one folder, as Darknet has them

Format: https://docs.ultralytics.com/datasets/segment/. An outline runs through the middles of pixels, and who reads it
cuts off what is behind the point: so does this.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import cv2
import numpy as np

from jobs.datasets import listing
from jobs.datasets.annotations import shapes
from jobs.datasets.annotations.annotated import AnnotatedFrame, AnnotatedVideo, Dataset, Drawn, Shape, Size
from jobs.datasets.annotations.documents import read_text, read_yaml
from pipeline.errors import InvalidInput
from pipeline.storage.store import Store
from pipeline.storage.urls import name_of

_WHAT = "a folder of YOLO's labels and the file that names its classes"
_LISTS = ("classes.txt", "obj.names")
_LABELS, _IMAGES = ("labels", "obj_train_data"), "images"
_DEEPEST = 4
"""Folders below the dataset: labels/SPLIT/VIDEO, and one to spare."""
_NOT_LABELS = ("classes.txt", "train.txt", "val.txt", "valid.txt", "test.txt", "readme.txt")
_ROUNDING = 0.05
"""Pixels."""
_BOX, _FEWEST = 4, 6
"""Numbers of a box, and of an outline with three points."""


def read(source: str) -> Dataset:
    """The videos of a folder: each folder of label files is one. Raises InvalidInput, StoreUnavailable."""
    root = Store(source)
    classes = _classes(root)
    videos = [_video(root, folder, names, classes) for folder, names in _label_files(root)]
    if not videos:
        raise InvalidInput(f"{root.url}: holds no label files (labels/VIDEO/FRAME.txt); name {_WHAT}")
    return Dataset(root=root, images=("", _IMAGES), videos=videos)


def _classes(root: Store) -> Mapping[int, str]:
    for name in listing.files(root, (".yaml", ".yml")):
        if (found := read_yaml(root.url_of(name), _WHAT).get("names")) is not None:
            return _named(found, root.url_of(name))
    for name in _LISTS:
        if name in listing.files(root, name):
            lines = read_text(root.url_of(name), _WHAT).splitlines()
            return dict(enumerate(line.strip() for line in lines if line.strip()))
    raise InvalidInput(f"{root.url}: has no data.yaml with names, {' or '.join(_LISTS)}; add the file with the classes")


def _named(names: object, url: str) -> Mapping[int, str]:
    if isinstance(names, list):
        return {number: str(name) for number, name in enumerate(names)}
    if isinstance(names, dict) and all(type(number) is int for number in names):
        return {number: str(name) for number, name in names.items()}
    raise InvalidInput(f"{url}: names is no list of classes, and no mapping of their numbers; correct it")


def _label_files(root: Store, folder: str = "", depth: int = 0) -> Iterator[tuple[str, Sequence[str]]]:
    if names := [name for name in listing.files(root, ".txt", folder) if name.lower() not in _NOT_LABELS]:
        yield folder, names
    if depth < _DEEPEST:
        for name in listing.folders(root, folder):
            yield from _label_files(root, f"{folder}/{name}" if folder else name, depth + 1)


def _video(root: Store, folder: str, names: Sequence[str], classes: Mapping[int, str]) -> AnnotatedVideo:
    parts = folder.split("/") if folder else []
    own = "/".join(part for part in parts if part not in _LABELS)
    beside = "/".join(_IMAGES if part in _LABELS else part for part in parts)
    frames = [_frame(root.url_of(f"{folder}/{name}" if folder else name), classes) for name in names]
    folders = tuple(dict.fromkeys((beside, own, folder)))
    return AnnotatedVideo(video_id=own or name_of(root.url), where=root.url_of(folder), folders=folders, frames=frames)


def _frame(url: str, classes: Mapping[int, str]) -> AnnotatedFrame:
    lines = enumerate(read_text(url, _WHAT).splitlines(), 1)
    drawn = [_drawn(line.split(), f"{url}: line {number}", classes) for number, line in lines if line.strip()]
    return AnnotatedFrame(drawn=drawn, picture=name_of(url))


def _drawn(words: Sequence[str], where: str, classes: Mapping[int, str]) -> Drawn:
    try:
        category, values = int(words[0]), [float(word) for word in words[1:]]
    except ValueError as error:
        raise InvalidInput(f"{where}: is no class and numbers ({error}); name {_WHAT}") from error
    if category not in classes:
        raise InvalidInput(
            f"{where}: class {category} is out of range, there are {len(classes)} classes; add it to the names, or "
            "correct the line"
        )
    shares = shapes.numbers(values, where, "its coordinates")
    if len(shares) != _BOX and (len(shares) < _FEWEST or len(shares) % 2):
        raise InvalidInput(
            f"{where}: has {len(shares)} numbers after its class; a box has 4, an outline two for each of at least "
            "three points; leave confidences and ids out"
        )
    if not all(0 <= share <= 1 for share in shares):
        raise InvalidInput(f"{where}: has coordinates beyond 0 to 1; divide pixels by the picture's width and height")
    draw = _box if len(shares) == _BOX else _outline
    return Drawn(where=where, class_name=classes[category], draw=partial(draw, shares))


def _box(shares: Sequence[float], size: Size) -> Shape:
    (height, width), (x, y, w, h) = size, shares
    return {"box": [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height]}


def _outline(shares: Sequence[float], size: Size) -> Shape:
    canvas = np.zeros(size, np.uint8)
    # Shares are written with few digits: what is just below a whole number was one.
    ring = np.floor(np.array(shares).reshape(-1, 2) * (size[1], size[0]) + _ROUNDING).astype(np.int32)
    cv2.fillPoly(canvas, [ring], (1,))
    return shapes.of_mask(canvas.astype(bool))
