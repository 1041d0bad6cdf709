"""Which worker of a pool gets which attempt, which one is replaced, and when nobody can start.

Plain: time comes in as an argument, and who the workers are is the pool's affair.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from pipeline.errors import PipelineError, Remedy, WorkerLost
from pipeline.run.attempt import Attempt, VideoOutcome
from pipeline.run.failure import Failure
from pipeline.run.progress import WorkerCounts, of_lost

_FAILURES_IN_A_ROW = 2
"""A worker is replaced after so many, on videos that are not to blame."""
_FAILED_STARTS = 3
"""In a row: nobody can start at that place as it is."""
_PAUSE_S = 1.0
"""Before a worker starts where another could not, or was replaced; doubled for every one since an attempt went well."""
_LONGEST_PAUSE_S = 60.0


class Member(Protocol):
    """One worker of a crew."""

    attempt: Attempt | None
    """In hand."""
    next: Attempt | None
    """The one whose video it has opened; another one may be faster to take it."""
    counts: WorkerCounts

    @property
    def name(self) -> str:
        """Another one for every worker of a run."""

    @property
    def idle(self) -> bool:
        """It has started and has nothing in hand."""

    def submit(self, attempt: Attempt) -> None:
        """Give it an attempt, when it is idle."""

    def prepare(self, attempt: Attempt) -> None:
        """Let it open the video of an attempt that waits for it."""

    def kill(self) -> None:
        """End it, whatever it does."""


M = TypeVar("M", bound=Member)


@dataclass
class _Seat(Generic[M]):
    """A place for one worker. What went wrong here counts on for those who follow, until an attempt goes well."""

    member: M | None = None
    due_s: float = 0.0
    """When the next one starts, where nobody is."""
    failures: int = 0
    """In a row, of the one that is here."""
    failed_starts: int = 0
    """In a row."""
    setbacks: int = 0
    """Failed starts and replacements since an attempt went well."""
    doubted: bool = False
    """Something failed here since an attempt went well, and no video is to blame."""

    @property
    def up(self) -> bool:
        return self.member is not None and (self.member.idle or self.member.attempt is not None)


class Crew(Generic[M]):
    """The workers of a pool, each on its seat.

    What failed on one worker goes to another one that nothing is held against, if there is one that has started; else
    the worker it failed on is replaced for it. Raises WorkerLost, or what kept a worker from starting, when more than
    half of the seats cannot be filled and nobody works.
    """

    def __init__(self, start: Callable[[], M], size: int) -> None:
        """`start` begins to start another worker."""
        self._start = start
        self._seats: list[_Seat[M]] = [_Seat() for _ in range(size)]
        self._waiting: list[Attempt] = []
        self._gone = WorkerCounts()

    @property
    def members(self) -> list[M]:
        """Those who are there, started or starting."""
        return [seat.member for seat in self._seats if seat.member is not None]

    @property
    def starting(self) -> list[M]:
        """Those of them who have not started yet."""
        return [seat.member for seat in self._seats if seat.member is not None and not seat.up]

    def start_due(self, now_s: float) -> None:
        """Fill the empty seats whose time has come."""
        for seat in self._seats:
            if seat.member is None and seat.due_s <= now_s:
                seat.member = self._start()

    def idle(self) -> int:
        """How many are up and have nothing to do, and one attempt for each of the others to prepare."""
        busy = sum(member.attempt is not None for member in self.members)
        return sum(member.idle for member in self.members) + max(0, busy - len(self._waiting))

    def waiting(self) -> list[Attempt]:
        """Attempts that nobody has begun."""
        return list(self._waiting)

    def submit(self, attempt: Attempt) -> None:
        """Give it to who is idle, else let a busy one open its video."""
        self._waiting.append(attempt)
        self.hand_out()
        if attempt not in self._waiting:
            return
        free = (seat for seat in self._seats if seat.member and seat.member.attempt is not None)
        for seat in free:
            if seat.member and seat.member.next not in self._waiting and self._may_do(seat, attempt):
                seat.member.prepare(attempt)
                return

    def hand_out(self) -> None:
        """Give what waits to those who are idle: to each what it has opened, else what has waited longest."""
        self._make_way()
        for seat in self._seats:
            if (member := seat.member) is None or not member.idle:
                continue
            fitting = [attempt for attempt in self._waiting if self._may_do(seat, attempt)]
            if fitting:
                mine = next((attempt for attempt in fitting if attempt is member.next), fitting[0])
                self._waiting.remove(mine)
                member.submit(mine)

    def _may_do(self, seat: _Seat[M], attempt: Attempt) -> bool:
        if attempt.not_on is None or seat.member is None:
            return True
        return seat.member.name != attempt.not_on and (not seat.doubted or not self._trusted(attempt))

    def _trusted(self, attempt: Attempt) -> bool:
        """Whether nothing is held against one of those who are up and may do it."""
        return any(seat.up and not seat.doubted for seat in self._others(attempt))

    def _others(self, attempt: Attempt) -> list[_Seat[M]]:
        return [seat for seat in self._seats if seat.member is not None and seat.member.name != attempt.not_on]

    def _make_way(self) -> None:
        """Replace who is idle where nobody else is up for what it failed at."""
        for attempt in self._waiting:
            if attempt.not_on is None or any(seat.up for seat in self._others(attempt)):
                continue
            for seat in self._seats:
                if seat.member is not None and seat.member.name == attempt.not_on and seat.member.idle:
                    self._replace(seat)

    def started(self, member: M) -> None:
        """A worker is ready."""
        self._seat(member).failed_starts = 0

    def over(self, member: M, result: VideoOutcome | Failure, now_s: float) -> None:
        """An attempt of a worker is over; it may be replaced."""
        seat = self._seat(member)
        if isinstance(result, VideoOutcome):
            seat.failures, seat.setbacks, seat.doubted = 0, 0, False
        elif result.remedy is Remedy.SMALLER:
            self._replace(seat)  # only a fresh process has all of its device's memory
        elif result.of_surroundings:
            seat.failures += 1
            seat.doubted = True
            if seat.failures >= _FAILURES_IN_A_ROW:
                self._set_back(seat, now_s)

    def lost(self, member: M) -> None:
        """A worker is gone, or has to go, with the attempt in its hand; another one starts."""
        member.counts = of_lost(member.counts)
        self._replace(self._seat(member))

    def not_started(self, member: M, error: Exception, now_s: float) -> None:
        """A worker cannot start; another one will try, later and later. Raises as of the class."""
        seat = self._seat(member)
        wrong = isinstance(error, PipelineError) and error.remedy is Remedy.NONE
        seat.failed_starts += _FAILED_STARTS if wrong else 1
        member.counts = of_lost(member.counts)
        self._set_back(seat, now_s)
        failing = sum(seat.failed_starts >= _FAILED_STARTS for seat in self._seats)
        if 2 * failing <= len(self._seats) or any(seat.up for seat in self._seats):
            return
        if wrong:
            raise error
        raise WorkerLost(
            f"no worker can start, {failing} of {len(self._seats)} were tried again and again: {error}"
        ) from error

    def _set_back(self, seat: _Seat[M], now_s: float) -> None:
        """A place where workers fail must not be tried as fast as they do."""
        self._remove(seat)
        seat.setbacks += 1
        seat.due_s = now_s + min(_LONGEST_PAUSE_S, _PAUSE_S * 2 ** min(30, seat.setbacks - 1))

    def _replace(self, seat: _Seat[M]) -> None:
        self._remove(seat)
        seat.member = self._start()

    def _remove(self, seat: _Seat[M]) -> None:
        if (member := seat.member) is not None:
            member.kill()
            self._gone += member.counts
        seat.member, seat.failures = None, 0

    def _seat(self, member: M) -> _Seat[M]:
        return next(seat for seat in self._seats if seat.member is member)

    def dismiss(self) -> None:
        """End all."""
        for seat in self._seats:
            self._remove(seat)
        self._waiting.clear()

    def counts(self) -> WorkerCounts:
        """How far all are together, those who are gone included."""
        return sum((member.counts for member in self.members), self._gone)
