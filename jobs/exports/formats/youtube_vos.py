"""YouTube-VOS: the label PNGs of DAVIS, and `meta.json` with each object's category and the frames it is in."""

import json
from collections.abc import Iterator

from jobs.exports.format import Corpus, Format
from jobs.exports.label_maps import IDS_CHANGE, OVERLAPS_GO, TABLES_ALONE, numbers_within, write_renumbered
from jobs.exports.label_pngs import MOST_OBJECTS, write_label_png
from jobs.exports.losses import Loss
from jobs.exports.parts import Parts
from jobs.exports.sink import Sink
from jobs.exports.video import ExportedFrame, ExportedVideo

_META = "meta.json"


def _write(video: ExportedVideo, frames: Iterator[ExportedFrame], sink: Sink) -> None:
    numbers = numbers_within(video, MOST_OBJECTS, sink)
    names: dict[int, list[str]] = {object_id: [] for object_id in video.object_ids}
    for frame in frames:
        write_label_png(video, frame, numbers, sink)
        for found in frame.objects:
            names[found.object_id].append(frame.stem)
    objects = {
        str(numbers[object_id]): {"category": video.class_of(object_id), "frames": found}
        for object_id, found in names.items()
    }
    name, content = (json.dumps(value, ensure_ascii=False) for value in (video.name, {"objects": objects}))
    sink.part(_META).add(f"{name}: {content}")


def _finish(corpus: Corpus, parts: Parts) -> None:
    parts.json_members(_META, _META, before='{"videos": ', after="}")
    write_renumbered(corpus, parts)


YOUTUBE_VOS = Format(
    name="youtube-vos",
    lacks={
        Loss.OVERLAP: OVERLAPS_GO,
        Loss.LARGE_ID: IDS_CHANGE,
        Loss.SCORE: TABLES_ALONE,
        Loss.UNCERTAINTY: TABLES_ALONE,
        Loss.TIME: TABLES_ALONE,
    },
    write=_write,
    finish=_finish,
    pictures="JPEGImages",
)
