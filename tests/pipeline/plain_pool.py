"""A pool whose workers need neither processes nor time, on places of which some may be broken."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from pipeline.output.layout import ROW_TABLES, rows_path
from pipeline.run.attempt import Attempt, VideoOutcome
from pipeline.run.crew import Crew
from pipeline.run.failure import Failure
from pipeline.run.pool import Event
from pipeline.run.progress import WorkerCounts
from tests.pipeline.finished_pool import VIDEO, FinishedPool

Does = Callable[["PlainMember", Attempt], Failure | None]
Starts = Callable[["PlainMember"], Exception | None]


class PlainMember:
    """A worker that is ready, and done with a video, a few turns later."""

    def __init__(self, pool: "PlainPool", name: str, place: int) -> None:
        self.name = name
        self.place = place
        """Who follows on a killed one takes its place."""
        self.attempt: Attempt | None = None
        self.next: Attempt | None = None
        self.failure: Failure | None = None
        """How the attempt in hand will end."""
        self.counts = WorkerCounts()
        self.ends_at: float | None = pool.now_s + pool.start_s
        self._pool = pool

    @property
    def idle(self) -> bool:
        """Nothing is under way."""
        return self.ends_at is None

    def submit(self, attempt: Attempt) -> None:
        """A failure takes no time."""
        assert self.idle and attempt.not_on != self.name
        self.attempt = attempt
        self.failure = self._pool.does(self, attempt)
        self.ends_at = self._pool.now_s + (0.0 if self.failure else self._pool.video_s)
        self._pool.done_by[self.name] = self._pool.done_by.get(self.name, 0) + 1

    def prepare(self, attempt: Attempt) -> None:
        """Opens nothing."""
        self.next = attempt

    def kill(self) -> None:
        """Make room."""
        self._pool.places.append(self.place)


class PlainPool:
    """`does` says how an attempt fails, `starts` what keeps a worker from starting; None: it does not."""

    start_s = 5.0
    video_s = 3.0

    def __init__(
        self, output: str, *, workers: int = 4, does: Does = lambda *_: None, starts: Starts = lambda _: None
    ) -> None:
        self.now_s = 0.0
        self.places = list(range(workers))
        self.names: list[str] = []
        self.done_by: dict[str, int] = {}
        """Attempts by worker."""
        self.does = does
        self._starts = starts
        self._files = FinishedPool(output)
        self.crew = Crew(self._start, workers)

    def _start(self) -> PlainMember:
        self.names.append(f"actor-{len(self.names) + 1}")
        return PlainMember(self, self.names[-1], self.places.pop(0))

    def __enter__(self) -> Self:
        self._files.__enter__()
        self.crew.start_due(self.now_s)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.crew.dismiss()

    def idle(self) -> int:
        """As of `Pool`."""
        return self.crew.idle()

    def submit(self, attempt: Attempt) -> None:
        """As of `Pool`."""
        self.crew.submit(attempt)

    def waiting(self) -> list[Attempt]:
        """As of `Pool`."""
        return self.crew.waiting()

    def wait(self, timeout_s: float) -> list[Event]:
        """A second later."""
        due = [m for m in self.crew.members if m.ends_at is not None and m.ends_at <= self.now_s]
        events = [self._end(member) for member in due]
        self.now_s += 1.0
        self.crew.start_due(self.now_s)
        self.crew.hand_out()
        return [event for event in events if event is not None]

    def _end(self, member: PlainMember) -> Event | None:
        attempt, member.attempt, member.ends_at = member.attempt, None, None
        if attempt is None:
            if (error := self._starts(member)) is not None:
                self.crew.not_started(member, error, self.now_s)
            else:
                self.crew.started(member)
            return None
        result = member.failure or self._outcome(attempt)
        self.crew.over(member, result, self.now_s)
        return Event(attempt=attempt, result=result)

    def _outcome(self, attempt: Attempt) -> VideoOutcome:
        video_id = attempt.task.video_id
        files = self._files.write(video_id, {table: rows_path(table, video_id, attempt.name) for table in ROW_TABLES})
        return VideoOutcome(video_id=video_id, files=files, video={**VIDEO, "video_id": video_id})

    def counts(self) -> WorkerCounts:
        """Nothing."""
        return self.crew.counts()
