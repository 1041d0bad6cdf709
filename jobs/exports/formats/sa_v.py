"""SA-V: `VIDEO_manual.json`, of every frame the mask of every object as RLE.

The name is what readers of SA-V look for; `masklet_type` says that no person drew these masks.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from jobs.exports.format import Format
from jobs.exports.losses import Loss
from jobs.exports.sink import Sink
from jobs.exports.video import ExportedFrame, ExportedVideo, ObjectFrame
from pipeline.output import rle

_SMALL, _MEDIUM = 32**2, 96**2


@dataclass(kw_only=True)
class _Masklet:
    """What is told of one object over the video."""

    area: int = 0
    visible: int = 0
    changes: int = 0
    first: int | None = None
    shown: bool = False

    def add(self, place: int, found: ObjectFrame | None) -> None:
        if found and self.first is None:
            self.first = place
        elif self.first is not None and bool(found) != self.shown:
            self.changes += 1
        self.shown = found is not None
        self.area += found.area if found else 0
        self.visible += self.shown

    @property
    def mean_area(self) -> float:
        return self.area / self.visible if self.visible else 0.0


def _write(video: ExportedVideo, frames: Iterator[ExportedFrame], sink: Sink) -> None:
    masklets = {object_id: _Masklet() for object_id in video.object_ids}
    nothing = json.dumps({"size": list(video.size), "counts": _empty(*video.size)})
    path = sink.folder / "masklets.json"
    length, first = 0, 0
    with path.open("w") as file:
        file.write('{"masklet": [\n')
        for frame in frames:
            first = frame.index if frame.place == 0 else first
            length += 1
            found = {one.object_id: one for one in frame.objects}
            for object_id, masklet in masklets.items():
                masklet.add(frame.place, found.get(object_id))
            masks = (_rle(found[object_id]) if object_id in found else nothing for object_id in masklets)
            file.write((",\n" if frame.place else "") + f"[{', '.join(masks)}]")
        file.write("\n],\n" + json.dumps(_about(video, masklets, length, first), ensure_ascii=False)[1:] + "\n")
    sink.put_file(f"{video.name}_manual.json", path)


def _empty(height: int, width: int) -> str:
    return rle.encode(np.zeros((height, width), np.int32), [1])[0].counts


def _rle(found: ObjectFrame) -> str:
    return json.dumps({"size": list(found.size), "counts": found.rle})


def _about(video: ExportedVideo, masklets: dict[int, _Masklet], length: int, first: int) -> dict[str, object]:
    height, width = video.size
    found = masklets.values()
    areas = [masklet.mean_area for masklet in found]
    return {
        "video_id": video.video_id,
        "video_duration": length * video.selection.every / video.fps if video.fps else None,
        "video_frame_count": float(length),
        "video_height": float(height),
        "video_width": float(width),
        "video_resolution": float(height * width),
        "masklet_id": list(masklets),
        "masklet_size_abs": areas,
        "masklet_size_rel": [area / (height * width) for area in areas],
        "masklet_size_bucket": [_bucket(area) for area in areas],
        "masklet_visibility_changes": [masklet.changes for masklet in found],
        "masklet_first_appeared_frame": [masklet.first for masklet in found],
        "masklet_frame_count": [length] * len(masklets),
        "masklet_edited_frame_count": [0] * len(masklets),
        "masklet_type": ["auto"] * len(masklets),
        "masklet_num": len(masklets),
        # SA-V says neither: its readers know that every fourth frame is annotated.
        "first_frame": first,
        "every": video.selection.every,
    }


def _bucket(area: float) -> str:
    return "small" if area < _SMALL else "medium" if area < _MEDIUM else "large"


SA_V = Format(
    name="sa-v",
    lacks={
        Loss.SCORE: "in the tables alone",
        Loss.UNCERTAINTY: "in the tables alone",
        Loss.TIME: "in the tables alone",
        Loss.CLASS: "masklets have none",
    },
    write=_write,
    pictures="JPEGImages_24fps",
)
