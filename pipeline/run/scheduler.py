"""Which video next, and what after a failure. Pure: no clock, no thread, no Ray; time comes in as an argument."""

import heapq
import random
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
        pauses lie between half and all of `pause_s`, which doubles every time."""
        self._run_id = run_id
        self._waiting = [(-w.cost, position, w) for position, w in enumerate(work)]
        heapq.heapify(self._waiting)
        self._retries: list[tuple[float, str, Work]] = []
        self._running: dict[str, Work] = {}
        self._attempts: dict[str, int] = {}
        self._failures: dict[str, int] = {}
        self._smaller: set[str] = set()
        self._max_attempts = max_attempts
        self._pause_s = pause_s
        self._jitter = jitter

    @property
    def done(self) -> bool:
        """Nothing waits and nothing runs."""
        return not (self._waiting or self._retries or self._running)

    def next(self, now_s: float) -> Attempt | None:
        """The next attempt to start, or None while nothing is due."""
        work = self._due(now_s)
        if work is None:
            return None
        video_id = work.task.video_id
        self._running[video_id] = work
        number = self._attempts[video_id] = self._attempts.get(video_id, 0) + 1
        name = attempt_name(self._run_id, number)
        return Attempt(work=work, number=number, name=name, smaller_blocks=video_id in self._smaller)

    def _due(self, now_s: float) -> Work | None:
        if self._retries and self._retries[0][0] <= now_s:
            return heapq.heappop(self._retries)[2]
        return heapq.heappop(self._waiting)[2] if self._waiting else None

    def succeeded(self, video_id: str) -> None:
        """The running attempt is over and committed."""
        del self._running[video_id]

    def failed(self, video_id: str, remedy: Remedy, *, now_s: float) -> bool:
        """The running attempt failed; True when it will be tried again."""
        work = self._running.pop(video_id)
        pause_s = self._pause_of(video_id, remedy)
        if pause_s is None:
            return False
        heapq.heappush(self._retries, (now_s + pause_s, video_id, work))
        return True

    def _pause_of(self, video_id: str, remedy: Remedy) -> float | None:
        """Seconds until the next attempt; None: there is none."""
        if remedy is Remedy.ANEW:
            return 0.0
        if remedy is Remedy.SMALLER and video_id not in self._smaller:
            self._smaller.add(video_id)
            return 0.0
        failures = self._failures[video_id] = self._failures.get(video_id, 0) + 1
        if remedy is not Remedy.LATER or failures >= self._max_attempts:
            return None
        longest_s = self._pause_s * 2.0 ** (failures - 1)
        return self._jitter(longest_s / 2, longest_s)

    def wait_s(self, now_s: float) -> float | None:
        """Seconds until the earliest retry is due; None when none is."""
        return max(0.0, self._retries[0][0] - now_s) if self._retries else None
