"""How long an attempt may show no new frame before it counts as stuck."""

import statistics
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_FRAMES = 99
"""Of these last frames the times are known."""
_NEXT = "no new frame"


@dataclass(frozen=True, kw_only=True)
class Patience:
    """What is waited for."""

    least_s: float = 120.0
    """For a frame, whatever the others took."""
    times: float = 10.0
    """For a frame, as many median times of the frames before it."""
    opening_s: float = 600.0
    """For the first frame: a store may be slow and an index long."""
    skipped_frame_s: float = 0.1
    """More for the first frame, for each one before `start_frame`: they are decoded too."""


@dataclass(frozen=True, kw_only=True)
class _Waiting:
    since_s: float
    limit_s: float
    what: str


class Watch:
    """The clock of one worker's attempts; another thread may ask whether the one in hand is overdue.

    Only waiting for a frame is watched: what is asked of a store has deadlines of its own, and a large file takes long.
    """

    def __init__(self, patience: Patience, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._waiting: _Waiting | None = None
        self._frames_s: deque[float] = deque(maxlen=_FRAMES)

    def opening(self, start_frame: int) -> None:
        """An attempt begins, or its way back: its first frame is waited for, with those before `start_frame`."""
        limit_s = self._patience.opening_s + start_frame * self._patience.skipped_frame_s
        self._frames_s.clear()
        self._waiting = _Waiting(since_s=self._clock(), limit_s=limit_s, what="not one frame")

    def frame(self) -> None:
        """A frame is done; the next one is waited for."""
        now_s = self._clock()
        if self._waiting and self._waiting.what == _NEXT:
            self._frames_s.append(now_s - self._waiting.since_s)
        median_s = statistics.median(self._frames_s) if self._frames_s else 0.0
        limit_s = max(self._patience.least_s, self._patience.times * median_s)
        self._waiting = _Waiting(since_s=now_s, limit_s=limit_s, what=_NEXT)

    def rest(self) -> None:
        """No frame is waited for."""
        self._waiting = None

    def overdue(self) -> str | None:
        """What has been waited for too long; None: nothing."""
        waiting = self._waiting
        if waiting is None or (silent_s := self._clock() - waiting.since_s) <= waiting.limit_s:
            return None
        return f"{waiting.what} in {silent_s:.0f} s"
