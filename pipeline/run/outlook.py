"""Whether going on with a run makes sense, told from how its attempts end. Pure: time comes in as an argument."""

from collections import Counter, deque
from dataclasses import dataclass

from pipeline.errors import MostAttemptsFail
from pipeline.run.failure import Failure

_LEAST = 10
"""So many signs that nothing works are needed."""
_MOST = 0.75
"""Of all signs."""
_LAST = 20
"""Signs that count; older ones are forgotten."""


@dataclass(frozen=True, kw_only=True)
class _Sign:
    """An attempt that says something about the run as a whole."""

    failure: Failure | None
    lasted_s: float


class Outlook:
    """Counts failures that are not the videos' own against what goes well.

    The first such failure of a video is no sign: one broken worker can fail any number of videos. That the video fails
    again, on another worker or later, is one. Attempts that have been running for longer than those that failed are
    taken to go well, so that a few odd videos end no run of long ones.
    """

    def __init__(self) -> None:
        self._signs: deque[_Sign] = deque(maxlen=_LAST)
        self._failed: set[str] = set()
        self._began_s: dict[str, float] = {}

    def began(self, video_id: str, now_s: float) -> None:
        """An attempt is made."""
        self._began_s[video_id] = now_s

    def succeeded(self, video_id: str, now_s: float) -> None:
        """It went well."""
        self._signs.append(_Sign(failure=None, lasted_s=now_s - self._began_s.pop(video_id)))

    def failed(self, video_id: str, failure: Failure, now_s: float) -> None:
        """It failed."""
        lasted_s = now_s - self._began_s.pop(video_id)
        if not failure.of_surroundings:
            return
        if video_id in self._failed:
            self._signs.append(_Sign(failure=failure, lasted_s=lasted_s))
        self._failed.add(video_id)

    @property
    def doubtful(self) -> bool:
        """More fails than goes well: a short video tells soonest whether that is the videos' fault."""
        failures = len(self._failures())
        return failures > len(self._signs) - failures

    def check(self, now_s: float) -> None:
        """Raises MostAttemptsFail when nothing can be expected of the rest."""
        failures = self._failures()
        if len(failures) < _LEAST:
            return
        longest_s = max(sign.lasted_s for sign in failures)
        running = sum(now_s - began_s > longest_s for began_s in self._began_s.values())
        if len(failures) >= _MOST * (len(self._signs) + running):
            raise MostAttemptsFail(_why([sign.failure for sign in failures if sign.failure], len(self._signs)))

    def _failures(self) -> list[_Sign]:
        return [sign for sign in self._signs if sign.failure]


def _why(failures: list[Failure], of: int) -> str:
    cause, times = Counter(failure.cause for failure in failures).most_common(1)[0]
    commonest = [failure for failure in failures if failure.cause == cause]
    hosts = sorted({failure.host for failure in commonest if failure.host})
    where = f" on {', '.join(hosts)}" if hosts else ""
    return (
        f"stopped, because {len(failures)} of the last {of} videos failed more than once for reasons that are not "
        f"their own, {times} of them with {cause}{where}, at last: {commonest[-1].message}. Put that right and call "
        "again: what is complete stays, and `vos-batch status OUTPUT` lists every failure"
    )
