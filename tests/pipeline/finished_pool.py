"""Workers that need no time: what remains of a run is the driver."""

from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.output.commits import FileRecord
from pipeline.output.layout import rows_path
from pipeline.run.attempt import Attempt, VideoOutcome
from pipeline.run.pool import Event
from pipeline.run.progress import WorkerCounts
from tests.pipeline.made_commits import make_commit

_SLOTS = 64
_BY_DRIVER = ("attempts", "identity", "code_version", "committed_at", "run_id")
_VIDEO = {name: value for name, value in make_commit("x").video.items() if name not in _BY_DRIVER}


class FinishedPool:
    """As many workers as a large cluster has, each done with a video as soon as it gets it.

    Their files are empty ones; on an object store they are left out.
    """

    def __init__(self, output: str) -> None:
        self._folder = Path(output.removeprefix("file://")) if output.startswith("file://") else None
        self._events: list[Event] = []

    def __enter__(self) -> Self:
        if self._folder:
            for table in ("masks", "frames"):
                (self._folder / table).mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def idle(self) -> int:
        """How many have nothing in hand."""
        return _SLOTS - len(self._events)

    def submit(self, attempt: Attempt) -> None:
        """Finish an attempt."""
        video_id = attempt.task.video_id
        paths = {table: rows_path(table, video_id, attempt.name) for table in ("masks", "frames")}
        if self._folder:
            for path in paths.values():
                (self._folder / path).touch()
        files = {table: FileRecord(path=path, rows=2, bytes=0, sha256="0" * 64) for table, path in paths.items()}
        outcome = VideoOutcome(video_id=video_id, files=files, video={**_VIDEO, "video_id": video_id})
        self._events.append(Event(attempt=attempt, result=outcome))

    def waiting(self) -> list[Attempt]:
        """None."""
        return []

    def wait(self, timeout_s: float) -> list[Event]:
        """What was finished since."""
        events, self._events = self._events, []
        return events

    def counts(self) -> WorkerCounts:
        """Nothing."""
        return WorkerCounts()
