"""What stays of a training: its checkpoints, its log and events, and the state to go on from.

`last.safetensors` and `best.safetensors` hold the running mean of the weights, now and where it scored best.
`state.pt` is written last, so what it says was done is there: killed before that, a training goes on from the
older state and makes the same files again.
"""

import io
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from jobs.training.course import Course
from jobs.training.events import Events
from jobs.training.reports import LINE_EVERY, Learned, Log, Reporter
from jobs.training.validation import Validation
from model.checkpoint import to_bytes
from model.network import AFBURR
from model.training import Losses, Trainer
from pipeline.storage.store import Store
from pipeline.version import code_version

LAST, BEST = "last.safetensors", "best.safetensors"
_STATE = "state.pt"


@dataclass(kw_only=True)
class History:
    """What a training knows of its past beside the trainer's state."""

    best: float = -1.0
    """The best J&F so far."""
    validation: str = ""
    """What the last validation found."""
    recent: deque[Losses] = field(default_factory=lambda: deque(maxlen=LINE_EVERY))

    def mean(self) -> Losses:
        """Mean losses of the last steps."""
        names = vars(self.recent[0])
        return Losses(**{name: float(np.mean([getattr(losses, name) for losses in self.recent])) for name in names})


def restore(store: Store, trainer: Trainer) -> History:
    """Bring a trainer to where the last save left it; without one it stays at its beginning."""
    try:
        saved = torch.load(io.BytesIO(store.get(_STATE)), map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return History()
    trainer.restore(saved["trainer"])
    recent = deque((Losses(**losses) for losses in saved["recent"]), maxlen=LINE_EVERY)
    return History(best=saved["best"], validation=saved["validation"], recent=recent)


class Keeper:
    """Follows a trainer step by step: reports, and now and then validates and saves."""

    def __init__(
        self, course: Course, trainer: Trainer, history: History,
        *, store: Store, validation: Validation | None, events: Events | None, reporter: Reporter,
    ) -> None:  # fmt: skip
        self._course = course
        self._trainer = trainer
        self._history = history
        self._store = store
        self._validation = validation
        self._logs: list[Log | Events] = [Log(store, trainer.step_number), *([events] if events else [])]
        self._followers: Sequence[Log | Events | Reporter] = [*self._logs, reporter]
        self._durations_s: deque[float] = deque(maxlen=LINE_EVERY)
        self._began = time.monotonic()

    def on_step(self, step: int, losses: Losses) -> None:
        """For `fit`: the step of this number, from 0, is done."""
        self._durations_s.append(time.monotonic() - self._began)
        self._learned(step, losses)
        validates = self._validation is not None and self._is_due(step, self._course.validate_every)
        if validates or self._is_due(step, self._course.save_every):
            self._save(step + 1, validates=validates)
        self._began = time.monotonic()

    def _is_due(self, step: int, every: int) -> bool:
        return (step + 1) % every == 0 or step + 1 == self._course.config.steps

    def _learned(self, step: int, losses: Losses) -> None:
        self._history.recent.append(losses)
        config = self._course.config
        report = Learned(
            step=step + 1,
            steps=config.steps,
            losses=losses,
            recent=self._history.mean(),
            learning_rate=config.learning_rate * config.rate_at(step),
            seconds_per_step=float(np.mean(self._durations_s)),
        )
        for follower in self._followers:
            follower.learned(report)

    def _save(self, done: int, *, validates: bool) -> None:
        network = self._trainer.averaged()
        is_best = validates and self._validate(network, done)
        weights = to_bytes(network, self._card(done))
        for name in (BEST, LAST) if is_best else (LAST,):
            self._store.put(name, weights)
        for log in self._logs:
            log.save()
        self._store.put(_STATE, self._state())

    def _validate(self, network: AFBURR, done: int) -> bool:
        """Whether it is the best so far."""
        assert self._validation is not None
        score = self._validation.score(network)
        for follower in self._followers:
            follower.scored(done, score)
        found = f"J&F {score.J_and_F:.4f} (J {score.J:.4f}, F {score.F:.4f}) at step {done}"
        self._history.validation = f"{found} on {self._validation.about}"
        is_best = score.J_and_F > self._history.best
        self._history.best = max(score.J_and_F, self._history.best)
        return is_best

    def _card(self, done: int) -> dict[str, str]:
        """No clock, host or path of OUTPUT: the same training makes the same file."""
        known = {
            **self._course.described(),
            "seed": str(self._course.config.seed),
            "steps": str(done),
            "loss": f"{self._history.mean().total:.4f}, mean of {len(self._history.recent)} steps",
            "validation": self._history.validation,
            "code_version": code_version(),
        }
        return {name: text for name, text in known.items() if text}

    def _state(self) -> bytes:
        buffer = io.BytesIO()
        history = self._history
        saved = {
            "trainer": self._trainer.state(),
            "best": history.best,
            "validation": history.validation,
            "recent": [vars(losses) for losses in history.recent],
        }
        torch.save(saved, buffer)
        return buffer.getvalue()
