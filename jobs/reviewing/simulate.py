"""Does a review pay: frames are corrected with the truth, their videos segmented again, and the gain is counted.

Frames are chosen by the queue, equally spaced, and at random; all objects of a chosen frame are corrected.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from jobs.reviewing.choices import Choice, Way, at_random, by_video, count, joined, uniform
from jobs.reviewing.expected import expected
from jobs.reviewing.mending import Mending
from jobs.reviewing.quality import QualityModel
from jobs.reviewing.queue import Asking, Budget, queue_of
from jobs.reviewing.trials import NOTHING, J_and_F, J_and_F_by_frames, Trial, Trials
from pipeline.errors import InvalidInput

DOUBLED = tuple(2**power for power in range(12))
HALF = 0.5


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is tried."""

    ways: Sequence[Way] = tuple(Way)
    steps: Sequence[int] = DOUBLED
    """Frames that are corrected, ascending."""
    rounds: bool = False
    """The queue is made anew from each step's masks, as somebody works who corrects and segments in turns."""
    draws: int = 1
    """Of random frames."""
    seed: int = 0
    all_steps: bool = False
    """Also those behind half of the missing J&F."""
    mending: Mending = Mending()  # noqa: RUF009 (frozen)


@dataclass(frozen=True, kw_only=True)
class Point:
    """What a number of corrected frames gives."""

    corrected: float
    """Frames; mean over the draws."""
    J_and_F: float
    """Mean over all objects, each counting the same; likewise."""
    by_frames: float
    """The same with every object-frame counting the same."""


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """J&F by frames corrected, of every way."""

    candidates: int
    """Frames that could be corrected."""
    curves: Mapping[Way, Sequence[Point]]
    """Each begins with nothing corrected."""
    notes: Sequence[str]

    @property
    def target(self) -> float:
        """J&F with half of what was missing."""
        first = next(iter(self.curves.values()))[0].J_and_F
        return first + HALF * (1 - first)

    def frames_for_half(self, way: Way) -> float | None:
        """Frames to correct for it, between two steps in proportion; None: not reached."""
        return frames_for(self.curves[way], self.target)


def frames_for(curve: Sequence[Point], target: float) -> float | None:
    """Where a curve first reaches `target`, in frames; None: nowhere."""
    if curve[0].J_and_F >= target:
        return curve[0].corrected
    for before, after in pairwise(curve):
        if after.J_and_F >= target:
            share = (target - before.J_and_F) / (after.J_and_F - before.J_and_F)
            return before.corrected + share * (after.corrected - before.corrected)
    return None


def simulate(
    trials: Trials, model: QualityModel, settings: Settings, tell: Callable[[str], None] = lambda _: None
) -> Simulation:
    """Try all ways; `tell` gets a line a step. Raises InvalidInput for settings that try nothing, else as `Trials`."""
    steps = list(settings.steps)
    if not steps or not settings.ways or steps != sorted(set(steps)) or steps[0] < 1:
        raise InvalidInput("--steps: give numbers of frames that ascend, as 1,2,4,8; and at least one of --ways")
    return _Simulator(trials, model, settings, tell).run()


class _Simulator:
    def __init__(self, trials: Trials, model: QualityModel, settings: Settings, tell: Callable[[str], None]) -> None:
        self._trials, self._model, self._settings, self._tell = trials, model, settings, tell
        self._candidates = trials.candidates
        self._most = sum(map(len, self._candidates.values()))
        self._start = _point([_Tried(NOTHING, trials.of(NOTHING, ""))])
        self._target = self._start.J_and_F + HALF * (1 - self._start.J_and_F)

    def run(self) -> Simulation:
        if not self._most:
            raise InvalidInput("the truth has no frame that could be corrected: all of them are prompted")
        self._tell(f"nothing corrected: J&F {self._start.J_and_F:.3f}; half of what is missing: {self._target:.3f}")
        curves = {way: self._curve(way) for way in dict.fromkeys(self._settings.ways)}
        return Simulation(candidates=self._most, curves=curves, notes=self._trials.notes)

    def _curve(self, way: Way) -> list[Point]:
        points = [self._start]
        for found in self._points(way):
            points.append(found)
            self._tell(f"{way}, {found.corrected:g} frames: J&F {found.J_and_F:.3f}")
            if found.J_and_F >= self._target and not self._settings.all_steps:
                break
        return points

    def _points(self, way: Way) -> Iterator[Point]:
        if way in (Way.QUEUE, Way.ORACLE):
            yield from (_point([one]) for one in self._by_queue(way))
            return
        for number in self._steps():
            yield _point([self._try(choice, name) for choice, name in self._blind(way, number)])

    def _steps(self) -> Iterator[int]:
        """Up to all frames that there are."""
        yield from (step for step in self._settings.steps if step < self._most)
        if self._settings.steps[-1] >= self._most:
            yield self._most

    def _blind(self, way: Way, number: int) -> Iterator[tuple[Choice, str]]:
        if way is Way.UNIFORM:
            yield uniform(self._candidates, number), f"uniform-{number}"
            return
        for seed in range(self._settings.seed, self._settings.seed + self._settings.draws):
            yield at_random(self._candidates, number, seed), f"random-{seed}-{number}"

    def _by_queue(self, way: Way) -> Iterator["_Tried"]:
        rounds, start = self._settings.rounds, self._trials.of(NOTHING, "")
        chosen, now = NOTHING, start
        for number in self._steps():
            further = number - count(chosen) if rounds else number
            found = self._queued(way, now if rounds else start, further)
            if not found:
                return  # nothing more deserves a look
            chosen = joined(chosen, found) if rounds else found
            now = self._trials.of(chosen, f"{way}{'-in-rounds' if rounds else ''}-{number}")
            yield _Tried(chosen, now)
            if count(found) < further and not rounds:
                return

    def _queued(self, way: Way, trials: Mapping[str, Trial], number: int) -> Choice:
        asking = Asking(whole_frames=True, only=self._candidates, mending=self._settings.mending)
        tables = (expected(trials[name].video, self._model) for name in sorted(trials))
        if way is Way.ORACLE:
            tables = (self._trials.with_true_J(table, trials) for table in tables)
        items = queue_of(tables, Budget(items=number), asking)
        return by_video((item.video_id, item.frame_index) for item in items)

    def _try(self, choice: Choice, name: str) -> "_Tried":
        return _Tried(choice, self._trials.of(choice, name))


@dataclass(frozen=True)
class _Tried:
    choice: Choice
    trials: Mapping[str, Trial]


def _point(draws: Sequence[_Tried]) -> Point:
    return Point(
        corrected=fmean(count(one.choice) for one in draws),
        J_and_F=fmean(J_and_F(one.trials) for one in draws),
        by_frames=fmean(J_and_F_by_frames(one.trials) for one in draws),
    )
