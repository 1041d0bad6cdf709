"""What a training tells of itself: its log, and the interface of those who show how far it is."""

import json
from dataclasses import dataclass
from typing import Protocol

from jobs.training.validation import Score
from model.training import Losses
from pipeline.storage.store import Store

LOG = "log.jsonl"
LINE_EVERY = 50
"""Steps from one line to the next."""


@dataclass(frozen=True, kw_only=True)
class Learned:
    """A step that is done."""

    step: int
    """Counted from 1."""
    steps: int
    """Of the whole training."""
    losses: Losses
    recent: Losses
    """Means over the last steps."""
    learning_rate: float
    seconds_per_step: float

    @property
    def has_line(self) -> bool:
        """Whether the log has a line for it."""
        return self.step % LINE_EVERY == 0 or self.step == self.steps


class Reporter(Protocol):
    """Someone who follows a training."""

    def note(self, text: str) -> None:
        """Something worth a line."""

    def learned(self, report: Learned) -> None:
        """A step is done."""

    def scored(self, step: int, score: Score) -> None:
        """The running mean of the weights has been validated after a step."""


class Log:
    """`log.jsonl`: a line of mean losses now and then, and a line for every validation."""

    def __init__(self, store: Store, step: int) -> None:
        """`step`: where the training goes on; what an earlier run logged after it is done again."""
        self._store = store
        self._lines = [line for line in self._stored() if json.loads(line)["step"] <= step]

    def _stored(self) -> list[str]:
        try:
            return self._store.get(LOG).decode().splitlines()
        except FileNotFoundError:
            return []

    def learned(self, report: Learned) -> None:
        """Add a line where one is due."""
        if report.has_line:
            self._add(report.step, **vars(report.recent), seconds_per_step=report.seconds_per_step)

    def scored(self, step: int, score: Score) -> None:
        """Add a line."""
        self._add(step, J_and_F=score.J_and_F, J=score.J, F=score.F)

    def _add(self, step: int, **values: float) -> None:
        self._lines.append(json.dumps({"step": step, **values}))

    def save(self) -> None:
        """Write all lines to the store."""
        self._store.put(LOG, "".join(line + "\n" for line in self._lines).encode())
