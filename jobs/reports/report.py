"""A report from an output to its last file: video by video, in memory a few of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import pyarrow as pa

from jobs.datasets.side_by_side import side_by_side
from jobs.reports.cards import put_cards
from jobs.reports.chosen import choose
from jobs.reports.curves import FRAME_COLUMNS, OBJECT_COLUMNS, read_curves
from jobs.reports.destination import INDEX, REVIEW, claim, put_assets, put_page
from jobs.reports.frames import put_pictures
from jobs.reports.health import health_of
from jobs.reports.heat import HeatMaps
from jobs.reports.marks import FRAME_FLAGS, find_marks
from jobs.reports.scripts import data_script
from jobs.reports.video_page import Images, page_of, read_masks
from jobs.reports.videos import VideoRow, columns_of, failed_row, row_of
from jobs.reviewing.queue import QueueItem
from pipeline.credentials import without_credentials
from pipeline.errors import InvalidInput, InvalidOutput, PipelineError
from pipeline.input.manifest import NOTHING_ELSE, VideoTask, read_manifest
from pipeline.input.origin import Allowed
from pipeline.output import tables
from pipeline.output.failures import open_failures
from pipeline.output.labels import CommittedVideo, committed_videos
from pipeline.output.layout import safe_name
from pipeline.run.device import Device
from pipeline.storage.store import Store
from pipeline.version import code_version

T = TypeVar("T")

READERS = 4
"""Videos read at a time: each holds its values and a picture."""
SPACED_FRAMES = 12
VERSION = 1
"""Of the data that the pages read."""
_FAILURE_COLUMNS = ("video_id", "cause", "message", "frame_index", "failed_at")

Judge = Callable[[CommittedVideo], pa.Table]
"""What is expected of a video's object-frames: frame_index, object_id, expected_j."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a caller wants to see."""

    manifest: str | None = None
    """Where the videos lie; without it no frame is shown."""
    allowed: Allowed = NOTHING_ELSE
    price_per_hour: float | None = None
    """Of one worker."""
    spaced: int = SPACED_FRAMES
    """Evenly spaced frames a video, besides those worth a look; 0: no picture at all."""
    heat: bool = False
    """Whether pictures get a map of uncertainty: their videos are segmented again."""
    device: Device = "auto"
    """What segments them."""
    readers: int = READERS


@dataclass(frozen=True, kw_only=True)
class Written:
    """What is in a report."""

    videos: int
    failed: int
    """Videos without a result."""
    pictures: int
    without_pictures: Mapping[str, str]
    """Why, by video_id of those whose frames could not be read."""
    heat_maps: int
    without_heat_maps: Mapping[str, str]
    """Why, by video_id of those that lack some."""


@dataclass(frozen=True, kw_only=True)
class _Source:
    """An output as it was at the beginning of the report."""

    videos: dict[str, CommittedVideo]
    rows: dict[str, dict[str, Any]]
    table: pa.Table
    failures: dict[str, dict[str, Any]]
    tasks: dict[str, VideoTask] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class _Done:
    """What one video left."""

    row: VideoRow
    images: Images
    problem: str | None


def write_report(
    output: str,
    to: str,
    asked: Asked,
    *,
    judge: Judge | None = None,
    items: Sequence[QueueItem] | None = None,
    shown: Callable[[Iterable["_Done"], int], Iterable["_Done"]] = lambda done, _: done,
    stop: Callable[[], bool] = lambda: False,
) -> Written:
    """Write pages about what is in `output` into the empty folder `to` (paths or URLs).

    `judge` says what masks are expected to be worth, `items` what is to be reviewed, worst first. A video that
    cannot be read is shown without pictures. `shown` passes the written videos on, with their number.

    Raises:
        KeyboardInterrupt: `stop` asked for it.
        InvalidInput: heat maps without pictures.
        InvalidManifest: the manifest cannot be read.
        InvalidOutput: `to` is not empty, `output` is not ours, or it changed meanwhile.
        StoreUnavailable: a store failed.
    """
    if asked.heat and not (asked.manifest and asked.spaced):
        raise InvalidInput("heat maps lie on pictures: give --manifest, and --frames above 0, or leave out --heat")
    source = _read(output, asked)
    store = Store(to)
    claim(store)
    put_assets(store)
    reporter = _Reporter(
        store=store,
        asked=asked,
        source=source,
        judge=judge,
        queued=_frames_of(items or ()),
        heat_maps=HeatMaps(output, asked.device, stop) if asked.heat else None,
    )
    done = list(
        until(stop, shown(side_by_side(reporter.write, sorted(source.videos), asked.readers), len(source.videos)))
    )
    rows = [one.row for one in done]
    rows += [
        failed_row(failure, safe_name(id_)) for id_, failure in source.failures.items() if id_ not in source.videos
    ]
    if items is not None:
        put_cards(store, output, items, source.videos, source.tasks, stop=stop)
        put_page(store, REVIEW)
    review = None if items is None else len(items)
    store.put("data/summary.js", data_script("summary", _summary(output, source, rows, asked) | {"review": review}))
    put_page(store, INDEX)
    return Written(
        videos=len(done),
        failed=len(rows) - len(done),
        pictures=sum(len(one.images.pictures) for one in done),
        without_pictures={one.row.id: one.problem for one in done if one.problem},
        heat_maps=sum(len(one.images.heat_maps) for one in done),
        without_heat_maps={one.row.id: one.images.without_heat_maps for one in done if one.images.without_heat_maps},
    )


def _frames_of(items: Sequence[QueueItem]) -> dict[str, list[int]]:
    """By video the frames that are to be reviewed."""
    found: dict[str, list[int]] = {}
    for item in items:
        found.setdefault(item.video_id, []).append(item.frame_index)
    return found


def _read(output: str, asked: Asked) -> _Source:
    # Failures first: a video committed in between then counts as done, not as both.
    failures = tables.open(output, "failures").to_table(columns=list(_FAILURE_COLUMNS))
    found = committed_videos(output)
    videos = tables.open(output, "videos").to_table()
    rows = {row["video_id"]: row for row in videos.to_pylist()}
    return _Source(
        videos={video_id: video for video_id, video in found.items() if video_id in rows},
        rows=rows,
        table=videos,
        failures=open_failures(failures, videos, _FAILURE_COLUMNS),
        tasks={task.video_id: task for task in read_manifest(asked.manifest, asked.allowed)} if asked.manifest else {},
    )


def until(stop: Callable[[], bool], things: Iterable[T]) -> Iterator[T]:
    """The same things. Raises KeyboardInterrupt where `stop` asks for it."""
    for one in things:
        if stop():
            raise KeyboardInterrupt
        yield one


def _summary(output: str, source: _Source, rows: Sequence[VideoRow], asked: Asked) -> dict[str, object]:
    return {
        "version": VERSION,
        "output": without_credentials(Store(output).url),
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "code_version": code_version(),
        "pictures": asked.manifest is not None and asked.spaced > 0,
        "health": health_of(source.table, list(source.failures.values()), rows, asked.price_per_hour),
        "videos": columns_of(rows),
    }


@dataclass(frozen=True, kw_only=True)
class _Reporter:
    """Writes the files of one video after the other."""

    store: Store
    asked: Asked
    source: _Source
    judge: Judge | None
    queued: Mapping[str, Sequence[int]]
    heat_maps: HeatMaps | None

    def write(self, video_id: str) -> _Done:
        """Raises InvalidOutput, StoreUnavailable, each naming the video."""
        try:
            return self._write(video_id)
        except FileNotFoundError as error:
            raise InvalidOutput(
                f"video {video_id!r}: {error}; its result was replaced during the report: remove DIR and call again"
            ) from error
        except PipelineError as error:
            raise error.about(f"video {video_id!r}") from error

    def _write(self, video_id: str) -> _Done:
        row, found, safe = self.source.rows[video_id], self.source.videos[video_id], safe_name(video_id)
        frames = found.frames([*FRAME_COLUMNS, *FRAME_FLAGS])
        masks = found.masks([*OBJECT_COLUMNS, "event"])
        curves = read_curves(frames, masks, self.judge(found) if self.judge else None, row["objects"])
        marks = find_marks(frames, masks)
        reasons = choose(curves, marks, self.queued.get(video_id, ()), max(1, self.asked.spaced))
        pictures, problem = self._pictures(video_id, found, safe, list(reasons))
        masks = read_masks(found, reasons)
        heat, cold = self._heat(video_id, found, safe, {index: masks.get(index, {}) for index in pictures})
        images = Images(pictures=pictures, without_pictures=problem, heat_maps=heat, without_heat_maps=cold)
        page = page_of(row, curves, marks, reasons, masks, safe, images)
        self.store.put(f"data/videos/{safe}.js", data_script("video", safe, page))
        return _Done(
            row=row_of(row, safe, curves, marks),
            images=images,
            problem=problem if self.asked.manifest and self.asked.spaced else None,
        )

    def _pictures(
        self, video_id: str, found: CommittedVideo, safe: str, indices: list[int]
    ) -> tuple[list[int], str | None]:
        """The frames that have a picture, and why others have none."""
        written: list[int] = []
        if not self.asked.manifest or not self.asked.spaced:
            return written, "the report was made without --manifest, or with --frames 0: masks are drawn on grey"
        task = self.source.tasks.get(video_id)
        if task is None:
            return written, "the manifest has no row for this video"
        try:
            written.extend(put_pictures(self.store, safe, task, found.size, indices))
        except InvalidInput as error:
            return written, str(error)
        return written, None if len(written) == len(indices) else "the video is shorter than its masks"

    def _heat(
        self, video_id: str, found: CommittedVideo, safe: str, masks: Mapping[int, Mapping[int, str]]
    ) -> tuple[list[int], str | None]:
        """As `_pictures`, of the frames that have one."""
        if self.heat_maps is None or not masks:
            return [], None
        return self.heat_maps.put(self.store, safe, self.source.tasks[video_id], found.size, masks)
