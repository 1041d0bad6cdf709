"""The return test: a finished video propagated back from its last masks to its prompts, where the truth is given.

A segmenter that has lost an object on the way there will hardly find it on the way back. So J of what comes out at an
object's first prompt, against the mask that was given there, is a score of the whole video that needs no truth.

The way back begins at each object's last mask of half its median area or more: an object that leaves the picture is a
sliver at last, and nothing could be followed from that, however right it is. It has the settings and the weights of the
run that committed the video, and no prompt helps on it. It costs what segmenting costs, and reads the video from its
end (`pipeline.input.backwards`). What is known of a commit is kept and not done again.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from jobs.reviewing.returns_file import Return, read_returns, write_returns
from jobs.reviewing.same_run import SameRuns, step
from model.metrics import object_similarity
from model.network import AFBURR
from model.result import Prompt
from model.segmenter import VideoSegmenter
from pipeline.errors import InvalidInput, PipelineError
from pipeline.input.box_masks import improved_by
from pipeline.input.frames import Frame
from pipeline.input.manifest import VideoTask
from pipeline.input.prompts import Prompts, load_prompts
from pipeline.input.video import open_video
from pipeline.output import rle
from pipeline.output.labels import CommittedVideo, committed_videos
from pipeline.overlap import Ahead
from pipeline.run.config import WorkerConfig
from pipeline.run.device import Device
from pipeline.run.frame_named import frame_named

_FRAMES_AHEAD = 8
_LEAST_SHARE = 0.5
"""Of the median area: a mask that a way back may begin with."""


@dataclass(frozen=True, kw_only=True)
class ReturnTest:
    """What was found."""

    returns: tuple[Return, ...]
    """Of all videos that were asked for, worst first; those without a J last."""
    skipped: Mapping[str, str]
    """By video_id why it could not be tested."""


@dataclass
class _Way:
    """Where an object's way back begins and ends."""

    first: int
    """Frame of its first prompt."""
    given: bool = False
    """Its mask there has a pixel."""
    areas: list[int] = field(default_factory=list)
    """Its pixels in the frames behind that."""
    last: int | None = None
    """Where the way back begins; None where it has no mask behind its prompt."""
    counts: str = ""
    """The mask there, as COCO's run lengths."""


def return_test(
    output: str,
    tasks: Sequence[VideoTask],
    *,
    sample: int | None = None,
    to: str | None = None,
    device: Device = "auto",
    shown: Callable[[Iterable[VideoTask], int], Iterable[VideoTask]] = lambda tasks, _: tasks,
) -> ReturnTest:
    """Test the videos of a manifest that are committed in an output, and keep what is found.

    Args:
        output: path or URL.
        tasks: rows of the manifest that it was made from.
        sample: only so many videos, always the same ones.
        to: where the table goes instead of into the output; path or URL.
        device: as for `segment`.
        shown: passes the videos on that are still to test, with their number.

    Raises:
        InvalidInput: nothing of the manifest is committed, or what is kept is no such table.
        InvalidOutput, StoreUnavailable: as reading an output.
    """
    videos = committed_videos(output)
    chosen = _chosen(tasks, videos, output, sample)
    known = [one for one in read_returns(output, to) if _is_current(one, videos)]
    missing = [task for task in chosen if task.video_id not in {one.video_id for one in known}]
    runs, skipped = SameRuns(output, device), dict[str, str]()
    try:
        for task in shown(missing, len(missing)):
            try:
                known += _returns(task, videos[task.video_id], *runs.of(task.video_id))
            except (PipelineError, FileNotFoundError) as error:
                skipped[task.video_id] = str(error)
    finally:  # also of what was broken off
        write_returns(output, to, known)
    wanted = {task.video_id for task in chosen}
    return ReturnTest(returns=tuple(sorted((r for r in known if r.video_id in wanted), key=_worst)), skipped=skipped)


def _worst(one: Return) -> tuple[bool, float, str, int]:
    return one.return_j is None, one.return_j or 0.0, one.video_id, one.object_id


def _is_current(one: Return, videos: Mapping[str, CommittedVideo]) -> bool:
    return one.video_id in videos and videos[one.video_id].identity == one.identity


def _chosen(
    tasks: Sequence[VideoTask], videos: Mapping[str, CommittedVideo], output: str, sample: int | None
) -> list[VideoTask]:
    """In the order of the manifest."""
    found = [task for task in tasks if task.video_id in videos]
    if not found:
        raise InvalidInput(f"{output} has no committed video of this manifest: name the one that it was made from")
    by_chance = sorted(found, key=lambda task: hashlib.sha256(task.video_id.encode()).digest())
    kept = {task.video_id for task in by_chance[:sample]}
    return [task for task in found if task.video_id in kept]


def _returns(task: VideoTask, video: CommittedVideo, config: WorkerConfig, network: AFBURR) -> list[Return]:
    """Of each object of a video. Raises as opening and segmenting it."""
    prompts = load_prompts(task, *video.size, binary_masks=config.binary_masks, box_masks=config.box_masks)
    ways = _ways(video, prompts)
    open_ways = {object_id: way for object_id, way in ways.items() if way.given and way.last is not None}
    found = _go_back(task, video, prompts, open_ways, config, network) if open_ways else {}
    lost = {object_id for object_id, way in ways.items() if way.given and way.areas and way.last is None}
    return [
        Return(
            video_id=task.video_id,
            identity=video.identity,
            object_id=object_id,
            return_j=0.0 if object_id in lost else found.get(object_id),
            frames=0 if way.last is None else way.last - way.first,
        )
        for object_id, way in ways.items()
    ]


def _ways(video: CommittedVideo, prompts: Prompts) -> dict[int, _Way]:
    """By object, of what was found; in memory are one mask of each and the areas of all."""
    ways = {object_id: _Way(frames[0]) for object_id, frames in prompts.by_object().items()}
    for row in video.rows("masks", ["frame_index", "object_id", "area"]):
        way = ways.get(row["object_id"])
        if way and row["frame_index"] > way.first:
            way.areas.append(row["area"])
        elif way and row["frame_index"] == way.first:
            way.given = row["area"] > 0
    least = {object_id: _LEAST_SHARE * _median(way.areas) for object_id, way in ways.items()}
    for row in video.rows("masks", ["frame_index", "object_id", "area", "rle"]):
        way = ways.get(row["object_id"])
        if way and row["frame_index"] > way.first and row["area"] and row["area"] >= least[row["object_id"]]:
            way.last, way.counts = row["frame_index"], row["rle"]
    return ways


def _median(areas: list[int]) -> float:
    """Of those that are not empty; 0 where none is."""
    found = [area for area in areas if area]
    return float(np.median(found)) if found else 0.0


def _go_back(
    task: VideoTask,
    video: CommittedVideo,
    prompts: Prompts,
    ways: Mapping[int, _Way],
    config: WorkerConfig,
    network: AFBURR,
) -> dict[int, float]:
    """J of each object at its first prompt."""
    segmenter = VideoSegmenter(network, config.segmenter, object_ids=prompts.object_ids)
    similarities, improve = {}, improved_by(network)
    first, last = min(way.first for way in ways.values()), max(way.last or 0 for way in ways.values())
    for frame in _backwards(task, first, last, config):
        labels = step(segmenter, frame, _found(frame.index, ways, video.size)).labels
        for object_id in [name for name, way in ways.items() if way.first == frame.index]:
            with frame_named(frame):
                given = prompts.on(frame.index, frame.rgb, improve)
            if given is not None:
                similarities[object_id] = float(object_similarity(labels, given.labels, object_id))
    return similarities


def _backwards(task: VideoTask, first: int, last: int, config: WorkerConfig) -> Iterator[Frame]:
    with (
        open_video(
            task.video_uri, start_frame=first, end_frame=last + 1, max_pixels=config.max_pixels, backwards=True
        ) as reader,
        Ahead[Frame](reader, _FRAMES_AHEAD, Frame.num_bytes) as frames,
    ):
        yield from frames


def _found(frame_index: int, ways: Mapping[int, _Way], size: tuple[int, int]) -> Prompt | None:
    """The masks with which ways begin in a frame."""
    begun = tuple(sorted(object_id for object_id, way in ways.items() if way.last == frame_index))
    if not begun:
        return None
    labels = np.zeros(size, np.int32)
    for object_id in begun:
        labels[rle.decode(ways[object_id].counts, *size)] = object_id
    return Prompt(labels=labels, object_ids=begun)
