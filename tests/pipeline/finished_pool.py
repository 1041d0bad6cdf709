"""Workers that need no time: what remains of a run is the driver."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.output.commits import FileRecord
from pipeline.output.layout import ROW_TABLES, rows_path
from pipeline.run.attempt import Attempt, VideoOutcome
from pipeline.run.pool import Event
from pipeline.run.progress import WorkerCounts
from pipeline.storage.store import Store
from tests.pipeline.made_commits import make_commit

_BY_DRIVER = ("attempts", "identity", "code_version", "committed_at", "run_id")
VIDEO = {name: value for name, value in make_commit("x").video.items() if name not in _BY_DRIVER}


class FinishedPool:
    """As many workers as a large cluster has, each done with a video as soon as it gets it.

    Their files are empty ones; a sub-class may write others.
    """

    slots = 64
    """Attempts that are taken before the next wait."""

    def __init__(self, output: str) -> None:
        self._store = Store(output)
        self._folder = Path(output.removeprefix("file://")) if output.startswith("file://") else None
        self._events: list[Event] = []

    def __enter__(self) -> Self:
        if self._folder:
            for table in ROW_TABLES:
                (self._folder / table).mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def idle(self) -> int:
        """How many have nothing in hand."""
        return self.slots - len(self._events)

    def submit(self, attempt: Attempt) -> None:
        """Finish an attempt."""
        video_id = attempt.task.video_id
        files = self.write(video_id, {table: rows_path(table, video_id, attempt.name) for table in ROW_TABLES})
        outcome = VideoOutcome(video_id=video_id, files=files, video={**VIDEO, "video_id": video_id})
        self._events.append(Event(attempt=attempt, result=outcome))

    def write(self, video_id: str, paths: Mapping[str, str]) -> dict[str, FileRecord]:
        """Put a video's files to these paths, by table."""
        for path in paths.values():
            if self._folder:  # much faster
                (self._folder / path).touch()
            else:
                self._store.put(path, b"")
        return {table: FileRecord(path=path, rows=2, bytes=0, sha256="0" * 64) for table, path in paths.items()}

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
