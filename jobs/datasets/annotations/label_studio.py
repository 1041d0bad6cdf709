"""Label Studio: a list of tasks as JSON, each a picture or a video with regions.

Format: https://labelstud.io/guide/task_format. Shares are in percent. Regions of pictures have no identity over frames
but where `meta.object_id` gives one, as exports of this project do; those of videos are tracks.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from jobs.datasets.annotations import shapes
from jobs.datasets.annotations.annotated import AnnotatedFrame, AnnotatedVideo, Dataset, Drawn, Shape, Size
from jobs.datasets.annotations.brush import mask_of_brush
from jobs.datasets.annotations.documents import key_in, read_json
from jobs.datasets.annotations.paths import dataset_of, stored_parts
from pipeline.errors import InvalidInput
from pipeline.storage.urls import name_of

_WHAT = "Label Studio's list of tasks (export as JSON, not JSON-MIN)"
_IMAGES = ("images", "")
_BOX = ("x", "y", "width", "height")
_VIDEO = "videorectangle"
_NO_SHAPES = ("choices", "labels", "textarea", "rating", "number", "relation", "taxonomy", "pairwise", "datetime")


def read(source: str) -> Dataset:
    """The videos of a list of tasks, or of a folder that holds one. Raises InvalidInput, StoreUnavailable."""
    root, url = dataset_of(source, ".json", _WHAT, prefix="tasks")
    tasks = read_json(url, _WHAT)
    if not isinstance(tasks, list) or not all(
        isinstance(task, dict) and isinstance(task.get("data"), dict) for task in tasks
    ):
        raise InvalidInput(f"{url}: is no list of tasks with data; name {_WHAT}, or choose another --layout")
    left_out: Counter[str] = Counter()
    pictured: dict[tuple[str, str], list[AnnotatedFrame]] = {}
    videos = []
    for place, task in enumerate(tasks, 1):
        where = f"{url}: task {task.get('id', f'number {place}')}"
        regions = list(_regions(task, where))
        if "video" in task["data"]:
            videos.append(_video(task, regions, where, left_out))
        else:
            folder, frame = _frame(task, regions, where, left_out)
            video_id = str(task["data"].get("video_id") or folder or name_of(root.url))
            pictured.setdefault((video_id, folder), []).append(frame)
    videos += [
        AnnotatedVideo(video_id=video_id, where=url, folders=tuple(dict.fromkeys((folder, ""))), frames=frames)
        for (video_id, folder), frames in pictured.items()
    ]
    return Dataset(root=root, images=_IMAGES, videos=videos, left_out=left_out)


def _regions(task: Mapping[str, Any], where: str) -> Iterator[Mapping[str, Any]]:
    """Of the annotation that a person made last and did not cancel, else of the best prediction."""
    made = [one for one in _listed(task, "annotations", where) if not one.get("was_cancelled")]
    predicted = sorted(_listed(task, "predictions", where), key=_score)
    best: Mapping[str, Any] = (made or predicted or [{}])[-1]
    yield from _listed(best, "result", where)


def _score(prediction: Mapping[str, Any]) -> float:
    score = prediction.get("score")
    return float(score) if isinstance(score, int | float) else 0.0


def _listed(value: Mapping[str, Any], name: str, where: str) -> list[Mapping[str, Any]]:
    found = value.get(name) or []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InvalidInput(f"{where}: {name} is no list of JSON objects; name {_WHAT}")
    return found


def _frame(
    task: Mapping[str, Any], regions: Sequence[Mapping[str, Any]], where: str, left_out: Counter[str]
) -> tuple[str, AnnotatedFrame]:
    data = task["data"]
    folder, picture = stored_parts(data.get("image"), where)
    classes = _classes(regions)
    drawn, size = [], None
    for number, region in enumerate(regions, 1):
        kind = _kind(region)
        if kind in _DRAW:
            drawn.append(_drawn(region, kind, f"{where} ({picture}), region {region.get('id', number)}", classes))
            size = size or _size(region, where)
        elif kind not in _NO_SHAPES:
            left_out[f"regions without an area ({kind})"] += 1
    index = data.get("frame_index")
    return folder, AnnotatedFrame(
        drawn=drawn, picture=picture, index=index if type(index) is int and index >= 0 else None, size=size
    )


def _kind(region: Mapping[str, Any]) -> str:
    return str(region.get("type", "")).removesuffix("labels") or "labels"


def _classes(regions: Sequence[Mapping[str, Any]]) -> Mapping[Any, str]:
    """By region: a region may be told in two records, one of its shape and one of its label."""
    found = {}
    for region in regions:
        value = region.get("value")
        value = value if isinstance(value, dict) else {}
        labels = value.get(str(region.get("type")), value.get("labels"))
        if isinstance(labels, list) and labels:
            found[key_in(region, "id")] = str(labels[0])
    return found


def _drawn(region: Mapping[str, Any], kind: str, where: str, classes: Mapping[Any, str]) -> Drawn:
    meta = region.get("meta")
    track = key_in(meta, "object_id") if isinstance(meta, dict) else None
    return Drawn(
        where=where,
        class_name=classes.get(key_in(region, "id"), ""),
        draw=partial(_DRAW[kind], _value(region, where), where),
        track=track,
    )


def _value(region: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    value = region.get("value")
    if not isinstance(value, dict):
        raise InvalidInput(f"{where}: has no value; name {_WHAT}")
    return value


def _size(region: Mapping[str, Any], where: str) -> Size | None:
    height, width = region.get("original_height"), region.get("original_width")
    if height is None or width is None:
        return None
    if type(height) is not int or type(width) is not int or height < 1 or width < 1:
        raise InvalidInput(f"{where}: original_height and original_width are {height!r} and {width!r}; correct them")
    return height, width


def _video(
    task: Mapping[str, Any], regions: Sequence[Mapping[str, Any]], where: str, left_out: Counter[str]
) -> AnnotatedVideo:
    folder, name = stored_parts(task["data"]["video"], where)
    classes = _classes(regions)
    frames: dict[int, list[Drawn]] = {}
    for region in regions:
        if _kind(region) == _VIDEO:
            _add_track(region, f"{where}, region {region.get('id')}", classes, frames)
        elif _kind(region) not in _NO_SHAPES:
            left_out[f"regions without an area ({_kind(region)})"] += 1
    names = (f"{folder}/{name}" if folder else name, name)
    return AnnotatedVideo(
        video_id=str(task["data"].get("video_id") or name.rpartition(".")[0] or name),
        where=where,
        folders=tuple(dict.fromkeys(names)),
        frames=[AnnotatedFrame(drawn=drawn, index=index) for index, drawn in sorted(frames.items())],
    )


def _add_track(
    region: Mapping[str, Any], where: str, classes: Mapping[Any, str], frames: dict[int, list[Drawn]]
) -> None:
    track = key_in(region, "id")
    if track is None:
        raise InvalidInput(f"{where}: has no id; name {_WHAT}")
    for place, box in enumerate(_listed(_value(region, where), "sequence", where)):
        number = box.get("frame")
        if type(number) is not int or number < 1:
            raise InvalidInput(f"{where}: frame of keyframe {place + 1} is {number!r}; Label Studio counts from 1")
        at = f"{where}, frame {number}"
        drawn = Drawn(where=at, class_name=classes.get(track, ""), draw=partial(_rectangle, box, at), track=track)
        frames.setdefault(number - 1, []).append(drawn)


def _percent(value: Mapping[str, Any], names: Sequence[str], where: str) -> list[float]:
    return [shapes.number(value.get(name), where, name) / 100 for name in names]


def _rectangle(value: Mapping[str, Any], where: str, size: Size) -> Shape:
    x, y, w, h = _percent(value, _BOX, where)
    height, width = size
    degrees = shapes.number(value.get("rotation") or 0, where, "rotation")
    return shapes.turned_box((x * width, y * height, w * width, h * height), degrees, (x * width, y * height))


def _polygon(value: Mapping[str, Any], where: str, size: Size) -> Shape:
    points = value.get("points")
    if not isinstance(points, list) or not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise InvalidInput(f"{where}: points are no list of x and y; correct or remove the region")
    height, width = size
    ring = [shapes.numbers(point, where, "points") for point in points]
    return {"polygons": [[value for x, y in ring for value in (x * width / 100, y * height / 100)]]}


def _ellipse(value: Mapping[str, Any], where: str, size: Size) -> Shape:
    x, y, rx, ry = _percent(value, ("x", "y", "radiusX", "radiusY"), where)
    height, width = size
    degrees = shapes.number(value.get("rotation") or 0, where, "rotation")
    return shapes.ellipse((x * width, y * height), (rx * width, ry * height), degrees)


def _brush(value: Mapping[str, Any], where: str, size: Size) -> Shape:
    return shapes.of_mask(mask_of_brush(value.get("rle"), size, where))


_DRAW: Mapping[str, Callable[[Mapping[str, Any], str, Size], Shape]] = {
    "brush": _brush,
    "polygon": _polygon,
    "rectangle": _rectangle,
    "ellipse": _ellipse,
}
