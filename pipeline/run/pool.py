"""Workers behind one seam: `Pool`, what it reports, and `LocalPool`, the one without Ray."""

import platform
import queue
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from pipeline.errors import PipelineError
from pipeline.run.attempt import Attempt, VideoOutcome
from pipeline.run.config import WorkerConfig
from pipeline.run.failure import Failure
from pipeline.run.progress import WorkerCounts
from pipeline.run.worker import VideoWorker


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
        """Give an attempt to an idle worker, or let it wait for the first one that will be."""

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


class LocalPool:
    """One worker in a thread of this process."""

    def __init__(self, config: WorkerConfig) -> None:
        self._worker = VideoWorker(config)
        self._attempts: queue.Queue[Attempt | None] = queue.Queue()
        self._events: queue.Queue[Event] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="local-worker", daemon=True)
        self._taken: list[Attempt] = []
        """At most two: the first one is in hand, the other waits."""
        self._ending = False

    def __enter__(self) -> Self:
        self._worker.setup()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending = True
        self._worker.stop()
        self._attempts.put(None)
        self._thread.join()
        self._worker.close()

    def _work(self) -> None:
        self._worker.limit_threads()
        while (attempt := self._attempts.get()) is not None and not self._ending:
            self._events.put(Event(attempt=attempt, result=try_video(self._worker, attempt, "local")))

    def idle(self) -> int:
        """2, 1 or 0."""
        return 2 - len(self._taken)

    def submit(self, attempt: Attempt) -> None:
        """Start it in the worker's thread, after the one in hand."""
        if self._taken:
            self._worker.prepare(attempt.task)
        self._taken.append(attempt)
        self._attempts.put(attempt)

    def waiting(self) -> list[Attempt]:
        """The one after the one in hand."""
        return self._taken[1:]

    def wait(self, timeout_s: float) -> list[Event]:
        """The finished attempt, if there is one within `timeout_s`."""
        try:
            event = self._events.get(timeout=timeout_s)
        except queue.Empty:
            return []
        self._taken.remove(event.attempt)
        return [event]

    def counts(self) -> WorkerCounts:
        """How far the worker is."""
        return self._worker.counts
