"""COCO: `annotations/instances_default.json`, an image a frame and an annotation an object-frame.

Masks are run lengths, or polygons for tools that know nothing else; with a hole they stay run lengths.

What COCO has no word for stands beside its own fields, where readers leave it alone: `videos`, `video_id`, `track_id`,
`frame_index`, `timestamp_us`, `score`, `uncertainty`.
"""

import json
from collections.abc import Callable, Iterator
from functools import partial

from jobs.exports.format import Corpus, Format
from jobs.exports.losses import Loss
from jobs.exports.numbers import rounded
from jobs.exports.parts import Parts
from jobs.exports.polygons import polygons
from jobs.exports.sink import Sink
from jobs.exports.video import ExportedFrame, ExportedVideo, ObjectFrame

_FILE = "annotations/instances_default.json"
_LISTS = ("videos", "images", "annotations")


def categories_of(corpus: Corpus) -> list[dict[str, object]]:
    """Its categories as COCO lists them."""
    return [{"id": number, "name": name} for number, name in enumerate(corpus.categories, start=1)]


def _write(
    video: ExportedVideo,
    frames: Iterator[ExportedFrame],
    sink: Sink,
    *,
    segmentation: Callable[[ObjectFrame], object],
) -> None:
    videos, images, annotations = (sink.part(name) for name in _LISTS)
    videos.add(json.dumps({"id": video.number, "name": video.video_id}, ensure_ascii=False))
    for frame in frames:
        images.add(json.dumps(_image(video, frame), ensure_ascii=False))
        for found in frame.objects:
            annotations.add(json.dumps(_annotation(video, frame, found, segmentation(found))))


def _image(video: ExportedVideo, frame: ExportedFrame) -> dict[str, object]:
    return {
        "id": video.image_id(frame),
        "file_name": f"{video.name}/{frame.picture}",
        "height": video.size[0],
        "width": video.size[1],
        "video_id": video.number,
        "frame_id": frame.place,
        "frame_index": frame.index,
        "timestamp_us": frame.timestamp_us,
    }


def _run_lengths(found: ObjectFrame) -> dict[str, object]:
    return {"size": list(found.size), "counts": found.rle}


def _polygons(found: ObjectFrame) -> object:
    x, y, w, h = found.box
    rings = polygons(found.mask()[y : y + h, x : x + w])
    return _run_lengths(found) if rings is None else [_moved(ring, x, y) for ring in rings]


def _moved(ring: list[int], x: int, y: int) -> list[int]:
    return [value + (y if place % 2 else x) for place, value in enumerate(ring)]


def _annotation(
    video: ExportedVideo, frame: ExportedFrame, found: ObjectFrame, segmentation: object
) -> dict[str, object]:
    return {
        "id": video.annotation_id(frame, found.object_id),
        "image_id": video.image_id(frame),
        "video_id": video.number,
        "category_id": video.category_of(found.object_id),
        "track_id": found.object_id,
        "segmentation": segmentation,
        "area": found.area,
        "bbox": list(found.box),
        "iscrowd": 0,
        "score": rounded(found.score),
        "uncertainty": rounded(found.uncertainty),
        # Where CVAT and datumaro look for it.
        "attributes": {"track_id": found.object_id},
    }


def _finish(corpus: Corpus, parts: Parts) -> None:
    parts.json_file(_FILE, {"categories": categories_of(corpus)}, _LISTS)


COCO = Format(
    name="coco",
    lacks={Loss.ABSENT: "no annotation says so"},
    write=partial(_write, segmentation=_run_lengths),
    finish=_finish,
    pictures="images",
)
COCO_POLYGONS = Format(
    name="coco-polygons",
    lacks={Loss.ABSENT: "no annotation says so"},
    write=partial(_write, segmentation=_polygons),
    finish=_finish,
    pictures="images",
)
