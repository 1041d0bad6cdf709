"""YouTube-VIS: `instances.json`, an annotation an object with a mask, or null, for every frame of its video."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copyfileobj
from typing import BinaryIO

from jobs.exports.format import Corpus, Format
from jobs.exports.formats.coco import categories_of
from jobs.exports.losses import Loss
from jobs.exports.numbers import rounded
from jobs.exports.parts import Parts
from jobs.exports.sink import Sink
from jobs.exports.video import ExportedFrame, ExportedVideo, ObjectFrame

_LISTS = ("videos", "annotations")


@dataclass(kw_only=True)
class _Track:
    """One object: numbers in memory, its masks in a file, for a video may be long."""

    masks: BinaryIO
    areas: list[int | None] = field(default_factory=list)
    boxes: list[list[int] | None] = field(default_factory=list)
    scores: list[float | None] = field(default_factory=list)
    uncertainties: list[float | None] = field(default_factory=list)

    def add(self, found: ObjectFrame | None) -> None:
        mask = {"size": list(found.size), "counts": found.rle} if found else None
        self.masks.write((", " if self.areas else "").encode() + json.dumps(mask).encode())
        self.areas.append(found.area if found else None)
        self.boxes.append(list(found.box) if found else None)
        self.scores.append(rounded(found.score) if found else None)
        self.uncertainties.append(rounded(found.uncertainty) if found else None)

    def numbers(self) -> dict[str, object]:
        """The lists beside the masks."""
        means = [score for score in self.scores if score is not None]
        return {
            "areas": self.areas,
            "bboxes": self.boxes,
            "score": rounded(sum(means) / len(means)) if means else None,
            "scores": self.scores,
            "uncertainties": self.uncertainties,
        }


def _write(video: ExportedVideo, frames: Iterator[ExportedFrame], sink: Sink) -> None:
    with ExitStack() as files:
        tracks = {
            object_id: _Track(masks=files.enter_context(_new_file(sink.folder / f"masks-{object_id}")))
            for object_id in video.object_ids
        }
        names = list(_add_all(video, frames, tracks))
        sink.part("videos").add(json.dumps(_video(video, names), ensure_ascii=False))
        for number, (object_id, track) in enumerate(tracks.items(), start=video.objects_before + 1):
            head: dict[str, object] = {
                "id": number,
                "video_id": video.number,
                "category_id": video.category_of(object_id),
            }
            _add_annotation(head | {"object_id": object_id}, track, len(names), video.size, sink)


def _new_file(path: Path) -> BinaryIO:
    return path.open("w+b")


def _add_all(video: ExportedVideo, frames: Iterator[ExportedFrame], tracks: dict[int, _Track]) -> Iterator[str]:
    for frame in frames:
        found = {one.object_id: one for one in frame.objects}
        for object_id, track in tracks.items():
            track.add(found.get(object_id))
        yield f"{video.name}/{frame.picture}"


def _video(video: ExportedVideo, names: list[str]) -> dict[str, object]:
    height, width = video.size
    return {
        "id": video.number,
        "name": video.video_id,
        "height": height,
        "width": width,
        "length": len(names),
        "file_names": names,
    }


def _add_annotation(head: dict[str, object], track: _Track, length: int, size: tuple[int, int], sink: Sink) -> None:
    content = head | {"iscrowd": 0, "length": length, "height": size[0], "width": size[1]} | track.numbers()
    part = sink.part("annotations")
    part.add(json.dumps(content)[:-1] + ', "segmentations": [')
    track.masks.seek(0)
    copyfileobj(track.masks, part.file)
    part.file.write(b"]}")


def _finish(corpus: Corpus, parts: Parts) -> None:
    parts.json_file("instances.json", {"categories": categories_of(corpus)}, _LISTS)


YOUTUBE_VIS = Format(
    name="youtube-vis",
    lacks={Loss.TIME: "in the tables alone"},
    write=_write,
    finish=_finish,
    pictures="JPEGImages",
)
