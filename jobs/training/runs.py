"""A run of `segment` as material: its masks, corrected where a prompt lies, become training data.

Prompted frames are the truth; of the others those count that the network was sure of.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow.compute as pc

from jobs.pictures.encode import encode_jpeg
from jobs.pictures.label_maps import LabelMap
from jobs.pictures.resize import shrunk
from jobs.training.sources import RecordedFrame, RecordedSequences, Recording
from model.result import VOID
from pipeline.errors import InvalidInput
from pipeline.input.manifest import VideoTask, read_manifest
from pipeline.input.video import open_video
from pipeline.output import rle, tables

MAX_UNCERTAINTY = 0.03
"""Of a frame's most uncertain object. On video new to lite0-open a third of the object-frames lay below, and their mean
J was 0.83 instead of 0.67; on composed clips 0.87 instead of 0.69."""
_MOST_FRAMES = 100
_SHORTER_SIDE = 480
_JPEG_QUALITY = 95


class RunSequences(RecordedSequences):
    """The complete videos of an OUTPUT, by the manifest that it was made from."""

    def __init__(self, output: str, manifest: str, *, max_uncertainty: float = MAX_UNCERTAINTY) -> None:
        """At most 100 frames of a video are kept, evenly spread over those that count.

        Raises InvalidInput when no video of the manifest is complete in OUTPUT with two such frames.
        """
        tasks = {task.video_id: task for task in read_manifest(manifest)}
        complete = tables.open(output, "videos").to_table(columns=["video_id"])["video_id"].to_pylist()
        known = [tasks[video_id] for video_id in sorted(complete) if video_id in tasks]
        found = [_record(output, task, max_uncertainty) for task in known]
        long_enough = [sequence for sequence in found if len(sequence) > 1]
        if not long_enough:
            raise InvalidInput(
                f"{output} has no video of {manifest} with two prompted or certain frames: segment it first, "
                "or correct some frames by prompts"
            )
        super().__init__(long_enough)


def _record(output: str, task: VideoTask, max_uncertainty: float) -> Recording:
    mine = pc.field("video_id") == task.video_id
    rows = tables.open(output, "masks").to_table(filter=mine).to_pylist()
    frames = tables.open(output, "frames").to_table(columns=["frame_index", "prompted"], filter=mine).to_pylist()
    objects: dict[int, list[dict[str, object]]] = {}
    for row in rows:
        objects.setdefault(row["frame_index"], []).append(row)
    prompted = {frame["frame_index"] for frame in frames if frame["prompted"]}
    chosen = _spread([t for t in sorted(objects) if t in prompted or _worst(objects[t]) <= max_uncertainty])
    numbers = {object_id: n for n, object_id in enumerate(sorted({row["object_id"] for row in rows}), start=1)}
    return list(_read(task, {t: objects[t] for t in chosen}, {i: n for i, n in numbers.items() if n < VOID}))


def _worst(objects: Sequence[Mapping[str, object]]) -> float:
    """An object without a prediction (before its first prompt was answered) is as uncertain as can be."""
    return max(1.0 if row["uncertainty"] is None else float(str(row["uncertainty"])) for row in objects)


def _spread(frames: Sequence[int]) -> list[int]:
    if len(frames) <= _MOST_FRAMES:
        return list(frames)
    return [frames[i] for i in np.linspace(0, len(frames) - 1, _MOST_FRAMES).round().astype(int)]


def _read(
    task: VideoTask, chosen: Mapping[int, Sequence[Mapping[str, object]]], numbers: Mapping[int, int]
) -> Iterator[RecordedFrame]:
    if not chosen:
        return
    with open_video(task.video_uri, start_frame=task.start_frame, end_frame=max(chosen) + 1) as video:
        for frame in video:
            if frame.index in chosen:
                labels = _drawn(chosen[frame.index], numbers, frame.rgb.shape[:2])
                yield RecordedFrame(
                    name=f"{task.video_uri}, frame {frame.index}",
                    picture=encode_jpeg(shrunk(frame.rgb, _SHORTER_SIDE), quality=_JPEG_QUALITY),
                    labels=shrunk(labels, _SHORTER_SIDE, labels=True),
                )


def _drawn(objects: Sequence[Mapping[str, object]], numbers: Mapping[int, int], size: tuple[int, ...]) -> LabelMap:
    labels = np.zeros(size, np.uint8)
    for row in objects:
        mask = rle.decode(row["rle"], row["height"], row["width"])  # type: ignore[arg-type]
        labels[mask] = numbers.get(row["object_id"], VOID)  # type: ignore[call-overload]
    return labels
