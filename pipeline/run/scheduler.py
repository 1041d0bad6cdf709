"""Which video next, and what after a failure. Pure: no clock, no thread, no Ray; time comes in as an argument."""

import heapq
import random
from collections import deque
from collections.abc import Callable, Iterable

from pipeline.errors import Remedy
from pipeline.output.layout import attempt_name
from pipeline.run.attempt import Attempt, Work


class Scheduler:
    """Longest first, so that no long video is left for the end; retries by cause, after a growing pause."""

    def __init__(
        self,
        work: Iterable[Work],
        run_id: str,
        *,
        max_attempts: int = 3,
        pause_s: float = 1.0,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """`run_id` becomes part of every attempt's name. `max_attempts` counts those that failed by `Remedy.LATER`;
        pauses lie between half and all of `pause_s`, which doubles every time. `ELSEWHERE` and `SMALLER` help once.
        """
        self._run_id = run_id
        self._waiting = deque(sorted(work, key=lambda w: -w.cost))
        self._retries: list[tuple[float, str, Work]] = []
        self._running: dict[str, Work] = {}
        self._attempts: dict[str, int] = {}
        self._failures: dict[str, int] = {}
        self._not_on: dict[str, str | None] = {}
        self._smaller: set[str] = set()
        self._crowded: set[str] = set()
        self._max_attempts = max_attempts
        self._pause_s = pause_s
        self._jitter = jitter

    @property
    def done(self) -> bool:
        """Nothing waits and nothing runs."""
        return not (self._waiting or self._retries or self._running)

    def next(self, now_s: float, *, shortest: bool = False) -> Attempt | None:
        """The next attempt to start, or None while nothing is due; `shortest`: rather a short video than a long one.

        It has `not_on` after a failure that may have been its worker's.
        """
        work = self._due(now_s, shortest)
        if work is None:
            return None
        video_id = work.task.video_id
        self._running[video_id] = work
        number = self._attempts[video_id] = self._attempts.get(video_id, 0) + 1
        return Attempt(
            work=work,
            number=number,
            name=attempt_name(self._run_id, number),
            smaller_blocks=video_id in self._smaller,
            not_on=self._not_on.get(video_id),
        )

    def _due(self, now_s: float, shortest: bool) -> Work | None:
        if self._retries and self._retries[0][0] <= now_s:
            return heapq.heappop(self._retries)[2]
        if not self._waiting:
            return None
        return self._waiting.pop() if shortest else self._waiting.popleft()

    def succeeded(self, video_id: str) -> None:
        """The running attempt is over and committed."""
        del self._running[video_id]

    def failed(self, video_id: str, remedy: Remedy, *, now_s: float, worker: str | None = None) -> bool:
        """The running attempt failed on `worker`; True when it will be tried again."""
        work = self._running.pop(video_id)
        pause_s = self._pause_of(video_id, remedy, worker)
        if pause_s is None:
            return False
        heapq.heappush(self._retries, (now_s + pause_s, video_id, work))
        return True

    def _pause_of(self, video_id: str, remedy: Remedy, worker: str | None) -> float | None:
        """Seconds until the next attempt; None: there is none."""
        match remedy:
            case Remedy.NONE:
                return None
            case Remedy.ANEW:
                return 0.0
            case Remedy.LATER:
                return self._later(video_id)
            case Remedy.ELSEWHERE:
                return self._elsewhere(video_id, worker)
            case Remedy.SMALLER:
                return _once(video_id, self._smaller)
            case Remedy.ROOM if video_id not in self._crowded:
                self._crowded.add(video_id)
                return self._pause(1)
            case Remedy.ROOM:
                return _once(video_id, self._smaller)

    def _later(self, video_id: str) -> float | None:
        failures = self._failures[video_id] = self._failures.get(video_id, 0) + 1
        return None if failures >= self._max_attempts else self._pause(failures)

    def _elsewhere(self, video_id: str, worker: str | None) -> float | None:
        if video_id in self._not_on:
            return None
        self._not_on[video_id] = worker
        return 0.0

    def _pause(self, failures: int) -> float:
        longest_s = self._pause_s * 2.0 ** (failures - 1)
        return self._jitter(longest_s / 2, longest_s)

    def wait_s(self, now_s: float) -> float | None:
        """Seconds until the earliest retry is due; None when none is."""
        return max(0.0, self._retries[0][0] - now_s) if self._retries else None


def _once(video_id: str, done: set[str]) -> float | None:
    """At once, where it was not done before."""
    if video_id in done:
        return None
    done.add(video_id)
    return 0.0
