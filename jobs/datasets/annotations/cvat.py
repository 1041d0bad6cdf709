"""CVAT 1.1, for images (an `<image>` a picture) and for video (a `<track>` an object).

Format: https://docs.cvat.ai/docs/other/xml_format. In the first, shapes are one object over the frames where they have
the attribute `track_id`; a `group_id` ties parts within a picture.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from xml.etree.ElementTree import Element

import numpy as np

from jobs.datasets.annotations import shapes
from jobs.datasets.annotations.annotated import AnnotatedFrame, AnnotatedVideo, Dataset, Drawn, Shape, Size
from jobs.datasets.annotations.documents import read_xml
from jobs.datasets.annotations.paths import dataset_of, parts_of
from pipeline.errors import InvalidInput
from pipeline.storage.urls import name_of

_WHAT = "the XML file of CVAT for images 1.1 or CVAT for video 1.1"
_IMAGES = ("images", "")


def read(source: str) -> Dataset:
    """The videos of an `annotations.xml`, or of a folder that holds one. Raises InvalidInput, StoreUnavailable."""
    root, url = dataset_of(source, ".xml", _WHAT, prefix="annotations")
    content = read_xml(url, _WHAT)
    if content.tag != "annotations":
        raise InvalidInput(f"{url}: is <{content.tag}>, not {_WHAT}; choose another --layout")
    left_out: Counter[str] = Counter()
    flat = name_of(root.url)
    tracks, images = content.findall("track"), content.findall("image")
    videos = [_tracked(content, tracks, url, flat, left_out)] if tracks else _pictured(images, url, flat, left_out)
    return Dataset(root=root, images=_IMAGES, videos=videos, left_out=left_out)


def _pictured(images: list[Element], url: str, flat: str, left_out: Counter[str]) -> list[AnnotatedVideo]:
    frames: dict[str, list[AnnotatedFrame]] = {}
    for place, image in enumerate(images):
        where = f"{url}: image {image.get('id', f'number {place + 1}')}"
        folder, picture = parts_of(image.get("name"), where)
        drawn = [
            _drawn(shape, f"{where} ({picture}), {shape.tag} {number}", shape.get("label", ""), _track_of(shape))
            for number, shape in enumerate(image, 1)
            if _has_area(shape, left_out)
        ]
        size = (_whole(image, "height", where), _whole(image, "width", where))
        frames.setdefault(folder, []).append(AnnotatedFrame(drawn=drawn, picture=picture, size=size))
    return [
        AnnotatedVideo(video_id=folder or flat, where=url, folders=(folder,), frames=found)
        for folder, found in frames.items()
    ]


def _track_of(shape: Element) -> str | None:
    found = (one.text for one in shape.findall("attribute") if one.get("name") == "track_id")
    return next((text.strip() for text in found if text and text.strip()), None)


def _tracked(content: Element, tracks: list[Element], url: str, flat: str, left_out: Counter[str]) -> AnnotatedVideo:
    frames: dict[int, list[Drawn]] = {}
    for place, track in enumerate(tracks):
        number = track.get("id", str(place))
        drawn_ones = [shape for shape in track if shape.get("keyframe") == "1"]
        for shape in drawn_ones or list(track):  # the others lie between two that a person drew
            if shape.get("outside") == "1" or not _has_area(shape, left_out):
                continue
            where = f"{url}: track {number}, frame {shape.get('frame')}"
            index = _whole(shape, "frame", where, least=0)
            frames.setdefault(index, []).append(_drawn(shape, where, track.get("label", ""), number))
    named = (content.findtext(f"meta/{one}") for one in ("source", "task/source", "job/source"))
    file = next((name.strip() for name in named if name and name.strip()), "")
    folder = parts_of(file, url)[1] if file else ""
    size = _original_size(content, url)
    return AnnotatedVideo(
        video_id=folder.rpartition(".")[0] or folder or flat,
        where=url,
        folders=tuple(dict.fromkeys((folder, folder.rpartition(".")[0], ""))),
        frames=[AnnotatedFrame(drawn=drawn, index=index, size=size) for index, drawn in sorted(frames.items())],
    )


def _original_size(content: Element, url: str) -> Size | None:
    found = next(content.iter("original_size"), None)
    if found is None:
        return None
    try:
        return int(found.findtext("height", "")), int(found.findtext("width", ""))
    except ValueError as error:
        raise InvalidInput(f"{url}: original_size has no width and height ({error}); export it again") from error


def _has_area(shape: Element, left_out: Counter[str]) -> bool:
    if shape.tag in _DRAW:
        return True
    if shape.tag not in ("tag", "attribute"):
        left_out[f"shapes without an area ({shape.tag})"] += 1
    return False


def _drawn(shape: Element, where: str, label: str, track: str | None) -> Drawn:
    group = shape.get("group_id")
    return Drawn(
        where=where,
        class_name=label,
        draw=partial(_DRAW[shape.tag], shape, where),
        track=track,
        group=group if group not in (None, "0") else None,
    )


def _number(shape: Element, name: str, where: str) -> float:
    return _parsed(shape.get(name, ""), where, f"{name} of <{shape.tag}>")


def _parsed(text: str, where: str, what: str) -> float:
    try:
        return shapes.number(float(text), where, what)
    except ValueError:
        raise InvalidInput(f"{where}: {what} is {text!r}, no number; correct or remove it") from None


def _whole(shape: Element, name: str, where: str, least: int = 1) -> int:
    text = shape.get(name, "")
    if not (text.isdecimal() and int(text) >= least):
        raise InvalidInput(f"{where}: {name} is {text!r}; give a whole number from {least} on")
    return int(text)


def _box(shape: Element, where: str, size: Size) -> Shape:
    x0, y0, x1, y1 = (_number(shape, name, where) for name in ("xtl", "ytl", "xbr", "ybr"))
    degrees = _parsed(shape.get("rotation", "0"), where, "rotation")
    return shapes.turned_box((x0, y0, x1 - x0, y1 - y0), degrees, ((x0 + x1) / 2, (y0 + y1) / 2))


def _polygon(shape: Element, where: str, size: Size) -> Shape:
    words = shape.get("points", "").replace(";", ",").split(",")
    return {"polygons": [[_parsed(word, where, "a point") for word in words]]}


def _ellipse(shape: Element, where: str, size: Size) -> Shape:
    cx, cy, rx, ry = (_number(shape, name, where) for name in ("cx", "cy", "rx", "ry"))
    return shapes.ellipse((cx, cy), (rx, ry), _parsed(shape.get("rotation", "0"), where, "rotation"))


def _mask(shape: Element, where: str, size: Size) -> Shape:
    left, top = (_whole(shape, name, where, least=0) for name in ("left", "top"))
    width, height = (_whole(shape, name, where) for name in ("width", "height"))
    if left + width > size[1] or top + height > size[0]:
        raise InvalidInput(
            f"{where}: the mask reaches to {left + width}, {top + height}, its picture has {size[1]} x {size[0]} "
            "pixels; export it again"
        )
    words = shape.get("rle", "").split(",")
    runs = [int(word) if word.strip().isdecimal() else -1 for word in words]
    if min(runs) < 0 or sum(runs) != width * height:
        raise InvalidInput(
            f"{where}: the run lengths of the mask do not add up to its {width} x {height} pixels; export it again"
        )
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    mask = np.zeros(size, bool)
    mask[top : top + height, left : left + width] = inside
    return shapes.of_mask(mask)


_DRAW: Mapping[str, Callable[[Element, str, Size], Shape]] = {
    "box": _box,
    "polygon": _polygon,
    "ellipse": _ellipse,
    "mask": _mask,
}
