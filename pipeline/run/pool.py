"""Workers behind one seam: `Pool`, what it reports, and `LocalPool`, the one without Ray."""

import platform
import queue
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from pipeline.errors import OutOfMemory, PipelineError
from pipeline.run.config import WorkerConfig
from pipeline.run.scheduler import Job, Remedy
from pipeline.run.worker import VideoOutcome, VideoWorker, WorkerCounts


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why an attempt, or the plan for a video, came to nothing."""

    cause: str
    """Class name of the error."""
    message: str
    retryable: bool = False
    frame_index: int | None = None
    """Frame at which the network gave up."""
    worker: str | None = None
    host: str | None = None
    """Machine of that worker; None: unknown, or planning."""
    preempted: bool = False
    """The machine was taken away."""

    @property
    def remedy(self) -> Remedy:
        """What may help."""
        if not self.retryable:
            return Remedy.NONE
        if self.preempted:
            return Remedy.ANEW
        return Remedy.SMALLER if self.cause == OutOfMemory.__name__ else Remedy.LATER

    @classmethod
    def of(cls, error: BaseException, *, worker: str | None = None, host: str | None = None) -> "Failure":
        """What `failures` keeps of an error."""
        text = str(error) or repr(error)
        return cls(
            cause=type(error).__name__,
            message=text.encode(errors="backslashreplace").decode(),  # names of files need not be UTF-8
            retryable=isinstance(error, PipelineError) and error.retryable,
            frame_index=getattr(error, "frame_index", None),
            worker=worker,
            host=host,
            preempted=getattr(error, "preempted", False),
        )


@dataclass(frozen=True, kw_only=True)
class Event:
    """An attempt is over."""

    job: Job
    result: VideoOutcome | Failure


class Pool(Protocol):
    """Workers for the time of the context; each has one job in hand and opens the video of another meanwhile.

    `LocalPool` is the one without Ray.
    """

    def __enter__(self) -> Self:
        """Start the workers. Raises InvalidInput, InvalidCheckpoint when they cannot be."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers; after an error without waiting for what they have in hand."""

    def idle(self) -> int:
        """How many jobs could be taken now."""

    def submit(self, job: Job, attempt: str) -> None:
        """Give a job to an idle worker, or let it wait for the first one that will be."""

    def waiting(self) -> list[Job]:
        """Jobs that were submitted and that no worker has begun."""

    def wait(self, timeout_s: float) -> list[Event]:
        """Attempts that are over; waits up to `timeout_s` for the first."""

    def counts(self) -> WorkerCounts:
        """How far all workers are together."""


def attempt_job(worker: VideoWorker, job: Job, attempt: str, name: str) -> VideoOutcome | Failure:
    """Run one job; whatever goes wrong with a video is a `Failure`, so that the worker lives on."""
    try:
        return worker.process(job.task, attempt, smaller_blocks=job.smaller_blocks)
    except Exception as error:  # also a bug that one odd video brings out must not end the run
        return Failure.of(error, worker=name, host=platform.node())


class LocalPool:
    """One worker in a thread of this process."""

    def __init__(self, config: WorkerConfig) -> None:
        self._worker = VideoWorker(config)
        self._jobs: queue.Queue[tuple[Job, str] | None] = queue.Queue()
        self._events: queue.Queue[Event] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="local-worker", daemon=True)
        self._taken: list[Job] = []
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
        self._jobs.put(None)
        self._thread.join()
        self._worker.close()

    def _work(self) -> None:
        self._worker.limit_threads()
        while (item := self._jobs.get()) is not None and not self._ending:
            job, attempt = item
            self._events.put(Event(job=job, result=attempt_job(self._worker, job, attempt, "local")))

    def idle(self) -> int:
        """2, 1 or 0."""
        return 2 - len(self._taken)

    def submit(self, job: Job, attempt: str) -> None:
        """Start the job in the worker's thread, after the one in hand."""
        if self._taken:
            self._worker.prepare(job.task)
        self._taken.append(job)
        self._jobs.put((job, attempt))

    def waiting(self) -> list[Job]:
        """The job after the one in hand."""
        return self._taken[1:]

    def wait(self, timeout_s: float) -> list[Event]:
        """The finished attempt, if there is one within `timeout_s`."""
        try:
            event = self._events.get(timeout=timeout_s)
        except queue.Empty:
            return []
        self._taken.remove(event.job)
        return [event]

    def counts(self) -> WorkerCounts:
        """How far the worker is."""
        return self._worker.counts
