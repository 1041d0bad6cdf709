"""A run of `segment` as material: its masks, corrected where a prompt lies, become training data.

Prompted frames are the truth; of the others those count that the network was sure of.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from jobs.pictures.encode import encode_jpeg
from jobs.pictures.label_maps import renumbered
from jobs.pictures.resize import shrunk
from jobs.training.sources import RecordedFrame, RecordedSequences, Recording
from model.result import VOID
from pipeline.errors import InvalidInput
from pipeline.input.manifest import VideoTask, read_manifest
from pipeline.input.video import open_video
from pipeline.output.labels import CommittedVideo, committed_videos

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
        videos = committed_videos(output)
        known = sorted((task for task in read_manifest(manifest) if task.video_id in videos), key=lambda t: t.video_id)
        found = [_record(videos[task.video_id], task, max_uncertainty) for task in known]
        long_enough = [sequence for sequence in found if len(sequence) > 1]
        if not long_enough:
            raise InvalidInput(
                f"{output} has no video of {manifest} with two prompted or certain frames: segment it first, "
                "or correct some frames by prompts"
            )
        super().__init__(long_enough)


def _record(video: CommittedVideo, task: VideoTask, max_uncertainty: float) -> Recording:
    frames = video.frames(["frame_index", "prompted"])
    prompted = set(frames.filter(frames["prompted"])["frame_index"].to_pylist())
    worst = _worst(video)
    chosen = _spread([t for t in sorted(worst) if t in prompted or worst[t] <= max_uncertainty])
    ids = sorted(set(video.masks(["object_id"])["object_id"].to_pylist()))
    return list(_read(video, task, chosen, {object_id: n for n, object_id in enumerate(ids, start=1) if n < VOID}))


def _worst(video: CommittedVideo) -> dict[int, float]:
    """By frame with an object the largest uncertainty of one.

    An object without a prediction (before its first prompt was answered) is as uncertain as can be.
    """
    worst: dict[int, float] = {}
    for row in video.masks(["frame_index", "uncertainty"]).to_pylist():
        uncertainty = 1.0 if row["uncertainty"] is None else row["uncertainty"]
        worst[row["frame_index"]] = max(worst.get(row["frame_index"], 0.0), uncertainty)
    return worst


def _spread(frames: Sequence[int]) -> list[int]:
    if len(frames) <= _MOST_FRAMES:
        return list(frames)
    return [frames[i] for i in np.linspace(0, len(frames) - 1, _MOST_FRAMES).round().astype(int)]


def _read(
    video: CommittedVideo, task: VideoTask, chosen: Sequence[int], numbers: Mapping[int, int]
) -> Iterator[RecordedFrame]:
    if not chosen:
        return
    found = video.labels(chosen)
    with open_video(task.video_uri, start_frame=task.start_frame, end_frame=chosen[-1] + 1) as source:
        for frame in source:
            if frame.index in chosen:
                labels = renumbered(next(found).labels, numbers)
                yield RecordedFrame(
                    name=f"{task.video_uri}, frame {frame.index}",
                    picture=encode_jpeg(shrunk(frame.rgb, _SHORTER_SIDE), quality=_JPEG_QUALITY),
                    labels=shrunk(labels, _SHORTER_SIDE, labels=True),
                )
