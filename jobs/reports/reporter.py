"""What a report says of one video after the other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from jobs.reports.chosen import choose
from jobs.reports.curves import FRAME_COLUMNS, OBJECT_COLUMNS, Curves, read_curves
from jobs.reports.frames import put_pictures
from jobs.reports.heat import HeatMaps
from jobs.reports.marks import FRAME_FLAGS, find_marks
from jobs.reports.proxy import Proxy, put_proxy
from jobs.reports.scripts import data_script
from jobs.reports.video_page import Images, page_of, read_masks
from jobs.reports.videos import VideoRow, row_of
from pipeline.errors import InvalidInput, InvalidOutput, PipelineError
from pipeline.input.manifest import NOTHING_ELSE, VideoTask
from pipeline.input.origin import Allowed
from pipeline.output.labels import CommittedVideo
from pipeline.output.layout import safe_name
from pipeline.run.device import Device
from pipeline.storage.store import Store

READERS = 4
"""Videos read at a time: each holds its values and a picture."""
SPACED_FRAMES = 12

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
    proxy: bool = False
    """Whether the whole of each video is there as a small film."""
    device: Device = "auto"
    """What segments them for heat maps."""
    readers: int = READERS


@dataclass(frozen=True, kw_only=True)
class Source:
    """An output as it was at the beginning of the report."""

    videos: dict[str, CommittedVideo]
    rows: dict[str, dict[str, Any]]
    table: pa.Table
    failures: dict[str, dict[str, Any]]
    tasks: dict[str, VideoTask] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Done:
    """What one video left."""

    row: VideoRow
    images: Images
    problem: str | None


@dataclass(frozen=True, kw_only=True)
class Reporter:
    """Writes the files of one video after the other."""

    store: Store
    asked: Asked
    source: Source
    judge: Judge | None
    queued: Mapping[str, Sequence[int]]
    heat_maps: HeatMaps | None
    stop: Callable[[], bool]

    def write(self, video_id: str) -> Done:
        """Raises InvalidOutput, StoreUnavailable, each naming the video."""
        try:
            return self._write(video_id)
        except FileNotFoundError as error:
            raise InvalidOutput(
                f"video {video_id!r}: {error}; its result was replaced during the report: remove DIR and call again"
            ) from error
        except PipelineError as error:
            raise error.about(f"video {video_id!r}") from error

    def _write(self, video_id: str) -> Done:
        row, found, safe = self.source.rows[video_id], self.source.videos[video_id], safe_name(video_id)
        frames = found.frames([*FRAME_COLUMNS, *FRAME_FLAGS])
        masks = found.masks([*OBJECT_COLUMNS, "event"])
        curves = read_curves(frames, masks, self.judge(found) if self.judge else None, row["objects"])
        marks = find_marks(frames, masks)
        reasons = choose(curves, marks, self.queued.get(video_id, ()), max(1, self.asked.spaced))
        pictures, problem = self._pictures(video_id, found, safe, list(reasons))
        masks = read_masks(found, reasons)
        heat, cold = self._heat(video_id, found, safe, {index: masks.get(index, {}) for index in pictures})
        proxy, still = self._proxy(video_id, found, safe, curves)
        images = Images(
            pictures=pictures,
            without_pictures=problem,
            heat_maps=heat,
            without_heat_maps=cold,
            proxy=proxy,
            without_proxy=still,
        )
        page = page_of(row, curves, marks, reasons, masks, safe, images)
        self.store.put(f"data/videos/{safe}.js", data_script("video", safe, page))
        return Done(
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

    def _proxy(
        self, video_id: str, found: CommittedVideo, safe: str, curves: Curves
    ) -> tuple[Proxy | None, str | None]:
        """As `_pictures`, of all frames."""
        if not self.asked.proxy or not len(curves.frame_T) or video_id not in self.source.tasks:
            return None, None
        task, fps = self.source.tasks[video_id], self.source.rows[video_id]["fps"]
        try:
            return put_proxy(self.store, safe, task, found, curves, fps, self.stop), None
        except InvalidInput as error:
            return None, f"no film: {error}"
