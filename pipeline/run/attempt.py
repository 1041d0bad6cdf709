"""What travels between the driver and a worker: work, an attempt at it, and how that ended well."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.input.manifest import VideoTask
from pipeline.output.commits import FileRecord


@dataclass(frozen=True, kw_only=True)
class Work:
    """A video to do."""

    task: VideoTask
    identity: str
    """Names the result that is wanted."""
    cost: float
    """Pixels x channels over all frames; only the order matters."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One try at a video."""

    work: Work
    number: int
    """Attempts of this run at the video, this one included."""
    name: str
    """Part of the names of its files: unique among all attempts of all runs at the same OUTPUT."""
    smaller_blocks: bool = False
    """Segment with as little memory as can be: an attempt before ran out of it."""
    not_on: str | None = None
    """The worker that it must not go to: it failed there, and perhaps by that worker's fault."""

    @property
    def task(self) -> VideoTask:
        """The row of the manifest that it is about."""
        return self.work.task


@dataclass(frozen=True, kw_only=True)
class VideoOutcome:
    """A finished attempt: the files are put, the driver may commit them."""

    video_id: str
    files: Mapping[str, FileRecord]
    """By table: masks and frames."""
    video: Mapping[str, object]
    """The worker's columns of the `videos` row."""
