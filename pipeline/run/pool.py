"""Workers behind one seam: `Pool`, what it reports, and `LocalPool`, the one without Ray."""

import logging
import platform
import queue
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from pipeline.errors import PipelineError, Stalled
from pipeline.run.attempt import Attempt, VideoOutcome
from pipeline.run.config import WorkerConfig
from pipeline.run.failure import Failure
from pipeline.run.progress import WorkerCounts, of_lost
from pipeline.run.worker import VideoWorker

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Event:
    """An attempt is over."""

    attempt: Attempt
    result: VideoOutcome | Failure


class Pool(Protocol):
    """Workers for the time of the context; each has one attempt in hand and opens the video of another meanwhile.

    `LocalPool` is the one without Ray.
    """

    def __enter__(self) -> Self:
        """Start the workers. Raises InvalidInput, InvalidCheckpoint when they cannot be."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers; after an error without waiting for what they have in hand."""

    def idle(self) -> int:
        """How many attempts could be taken now."""

    def submit(self, attempt: Attempt) -> None:
        """Give an attempt to an idle worker, or let it wait for the first one that will be.

        Never to the one that it is `not_on`: where there is no other, that one is replaced.
        """

    def waiting(self) -> list[Attempt]:
        """Attempts that were submitted and that no worker has begun."""

    def wait(self, timeout_s: float) -> list[Event]:
        """Attempts that are over; waits up to `timeout_s` for the first."""

    def counts(self) -> WorkerCounts:
        """How far all workers are together."""


def try_video(worker: VideoWorker, attempt: Attempt, name: str) -> VideoOutcome | Failure:
    """Make one attempt; whatever goes wrong with a video is a `Failure`, so that the worker `name` lives on."""
    try:
        return worker.process(attempt)
    except PipelineError as error:
        return Failure.of(error, worker=name, host=platform.node())
    except Exception as error:  # also a bug that one odd video brings out must not end the run
        return Failure.unforeseen(error, f"{name}: {attempt.task.name} failed", worker=name, host=platform.node())


class _LocalWorker:
    """A worker in a thread of its own; a fresh one takes its place for an attempt that failed on it."""

    def __init__(self, config: WorkerConfig, number: int, over: queue.Queue[tuple["_LocalWorker", Event]]) -> None:
        self.number = number
        self._config = config
        self._worker = VideoWorker(config)
        self._over = over
        self._attempts: queue.Queue[Attempt | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name=self.name, daemon=True)
        self._ready = False
        self._ending = False
        self._gone = WorkerCounts()

    @property
    def name(self) -> str:
        return "local" if self.number == 1 else f"local-{self.number}"

    def setup(self) -> None:
        """As of `VideoWorker`; an attempt that comes before it does it."""
        self._worker.setup()
        self._ready = True

    def start(self) -> None:
        self._thread.start()

    def submit(self, attempt: Attempt) -> None:
        self._attempts.put(attempt)

    def prepare(self, attempt: Attempt) -> None:
        self._worker.prepare(attempt.task)

    def overdue(self) -> str | None:
        return self._worker.overdue()

    def counts(self) -> WorkerCounts:
        return self._gone + self._worker.counts

    def leave(self) -> None:
        """Let it end at its next frame, should there be one."""
        self._ending = True
        self._worker.stop()
        self._attempts.put(None)

    def end(self) -> None:
        """Wait until it has."""
        self.leave()
        self._thread.join()
        self._worker.close()

    def _work(self) -> None:
        self._worker.limit_threads()
        while (attempt := self._attempts.get()) is not None and not self._ending:
            self._over.put((self, Event(attempt=attempt, result=self._try(attempt))))

    def _try(self, attempt: Attempt) -> VideoOutcome | Failure:
        try:
            if attempt.not_on == self.name:
                self._renew()
            if not self._ready:
                self.setup()
        except Exception as error:
            return Failure.unforeseen(error, f"{self.name} cannot start", worker=self.name, host=platform.node())
        return try_video(self._worker, attempt, self.name)

    def _renew(self) -> None:
        self._worker.close()
        self._gone += self._worker.counts
        self._worker, self._ready, self.number = VideoWorker(self._config), False, self.number + 1


class LocalPool:
    """One worker in a thread of this process.

    A thread cannot be ended from outside. One that is stuck is left behind with what it holds, and another one goes on;
    what it should still write is never committed.
    """

    def __init__(self, config: WorkerConfig) -> None:
        self._config = config
        self._over: queue.Queue[tuple[_LocalWorker, Event]] = queue.Queue()
        self._worker = _LocalWorker(config, 1, self._over)
        self._taken: list[Attempt] = []
        """At most two: the first one is in hand, the other waits."""
        self._gone = WorkerCounts()

    def __enter__(self) -> Self:
        self._worker.setup()
        self._worker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._worker.end()

    def idle(self) -> int:
        """2, 1 or 0."""
        return 2 - len(self._taken)

    def submit(self, attempt: Attempt) -> None:
        """Start it in the worker's thread, after the one in hand."""
        if self._taken:
            self._worker.prepare(attempt)
        self._taken.append(attempt)
        self._worker.submit(attempt)

    def waiting(self) -> list[Attempt]:
        """The one after the one in hand."""
        return self._taken[1:]

    def wait(self, timeout_s: float) -> list[Event]:
        """The finished attempt, if there is one within `timeout_s`, or the one that is stuck."""
        try:
            worker, event = self._over.get(timeout=timeout_s)
        except queue.Empty:
            return self._end_stuck()
        if worker is not self._worker:  # left behind, and now it has ended after all
            return []
        self._taken.remove(event.attempt)
        return [event]

    def _end_stuck(self) -> list[Event]:
        if (overdue := self._worker.overdue()) is None:
            return []
        stuck, stuck_at = self._worker, self._taken.pop(0)
        _logger.warning("%s is stuck (%s); starting another", stuck.name, overdue)
        stuck.leave()
        self._gone += of_lost(stuck.counts())
        self._worker = _LocalWorker(self._config, stuck.number + 1, self._over)
        self._worker.start()
        for attempt in self._taken:
            self._worker.submit(attempt)
        error = Stalled(f"stopped, because {stuck.name} showed {overdue}").about(stuck_at.task.name)
        failure = Failure.of(error, worker=stuck.name, host=platform.node())
        return [Event(attempt=stuck_at, result=failure)]

    def counts(self) -> WorkerCounts:
        """How far the worker is."""
        return self._gone + self._worker.counts()
