"""Workers as Ray actors, each with its own process and its own GPU."""

import logging
import platform
import time
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, cast

import ray
from ray.exceptions import GetTimeoutError, NodeDiedError, OutOfMemoryError, RayActorError, WorkerCrashedError

from model.runtime import KEEP_MEMORY_ENVIRONMENT
from pipeline.errors import InvalidInput, OutOfMemory, PipelineError, Preempted, Remedy, StoreUnavailable, WorkerLost
from pipeline.input.manifest import VideoTask
from pipeline.run.attempt import Attempt, VideoOutcome
from pipeline.run.config import WorkerConfig
from pipeline.run.failure import Failure
from pipeline.run.pool import Event, try_video
from pipeline.run.progress import WorkerCounts
from pipeline.run.ray_cluster import cluster_gpus, connect, in_ray_cluster
from pipeline.run.worker import VideoWorker

logger = logging.getLogger(__name__)

_MAX_LOST_IN_SETUP = 3
"""Workers in a row that may fail to start before the run gives up."""
_START_PAUSE_S = 1.0
"""Before the next one after a worker that failed to start; doubled for every one in a row."""
_STOP_S = 1.0
"""How long an interrupted run waits for its workers to clean up."""
_LOST = (RayActorError, NodeDiedError, WorkerCrashedError, OutOfMemoryError)


class _Actor:
    """A `VideoWorker` in a process of its own."""

    def __init__(self, config: WorkerConfig, name: str) -> None:
        self._worker = VideoWorker(config)
        self._name = name

    def setup(self) -> PipelineError | None:
        """Returned, not raised: Ray would wrap it."""
        try:
            self._worker.setup()
        except PipelineError as error:
            return error
        except Exception as error:
            return WorkerLost(f"{self._name} on {platform.node()} cannot start: {type(error).__name__}: {error}")
        return None

    def process(self, attempt: Attempt) -> tuple[VideoOutcome | Failure, WorkerCounts]:
        self._worker.limit_threads()
        return try_video(self._worker, attempt, self._name), self._worker.counts

    def prepare(self, task: VideoTask) -> None:
        self._worker.prepare(task)

    def counts(self) -> WorkerCounts:
        return self._worker.counts

    def stop(self) -> None:
        self._worker.stop()


class _Member:
    """The driver's side of one actor: its handle, what it is doing, how far it is."""

    def __init__(self, config: WorkerConfig, name: str) -> None:
        self.name = name
        # Threads: one works, one answers how far it is, one is told what comes next.
        options = {
            "num_cpus": 1,
            "num_gpus": config.reserved_gpus,
            "max_restarts": 0,
            "max_concurrency": 3,
            # Ray's own threads begin before ours could call `keep_memory`.
            "runtime_env": {"env_vars": KEEP_MEMORY_ENVIRONMENT},
        }
        self._actor = cast(Any, ray.remote(_Actor)).options(**options).remote(config, name)
        self.attempt: Attempt | None = None
        self.next: Attempt | None = None
        """The one whose video it has opened; another actor may be faster to take it."""
        self.pending: Any = self._actor.setup.remote()
        self._progress: Any = None
        self.counts = WorkerCounts()

    @property
    def idle(self) -> bool:
        return self.pending is None

    def submit(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.pending = self._actor.process.remote(attempt)

    def prepare(self, attempt: Attempt) -> None:
        """Let it open the video of an attempt that waits for it."""
        self.next = attempt
        self._actor.prepare.remote(attempt.task)

    def collect(self) -> Event | None:
        """What the ready call gave: the attempt that is over, or None after the set-up.

        Raises what kept the actor from starting, and Ray's errors for a lost one.
        """
        result = ray.get(self.pending)
        if self.attempt is None and result is not None:
            raise result
        attempt, self.attempt, self.pending = self.attempt, None, None
        if attempt is None:
            return None
        outcome, self.counts = result
        self._progress = None  # an answer still on its way is older
        return Event(attempt=attempt, result=outcome)

    def poll_progress(self) -> None:
        """Ask how far it is, without waiting for the answer."""
        if self._progress is None:
            self._progress = self._actor.counts.remote()
        try:
            self.counts = ray.get(self._progress, timeout=0)
            self._progress = None
        except GetTimeoutError:
            pass
        except _LOST:  # `wait` replaces it
            self._progress = None

    def stop(self) -> None:
        """Let it end its video at the next frame and clean up."""
        self._actor.stop.remote()

    def kill(self) -> None:
        """End it, also if it is only unreachable and still writing: what it writes is never committed."""
        ray.kill(self._actor)


class RayPool:
    """Actors that join as their resources appear; a lost one is replaced by a fresh one."""

    def __init__(
        self, config: WorkerConfig, *, workers: int | None = None, gpus_per_worker: float | None = None
    ) -> None:
        """One CPU and `gpus_per_worker` GPUs are reserved for each of the `workers`.

        None: a GPU each and as many workers as the cluster has GPUs; without GPUs (or on the CPU by choice) one
        worker.
        """
        self._config = config
        self._workers = workers
        self._gpus_per_worker = gpus_per_worker
        self._members: list[_Member] = []
        self._started = 0
        self._failed_starts = 0
        self._starts_due_s: list[float] = []
        self._waiting: list[Attempt] = []
        self._lost = WorkerCounts()

    def __enter__(self) -> Self:
        connect(self._workers)
        gpus = cluster_gpus() if self._config.device != "cpu" else 0
        wanted = self._gpus_per_worker if self._gpus_per_worker is not None else min(gpus, 1)
        _check_gpus(wanted)
        # Without a reservation "the GPU where there is one" would be the same one for every actor.
        device = "cpu" if self._config.device == "auto" and not wanted else self._config.device
        self._config = replace(self._config, reserved_gpus=float(wanted), device=device)
        workers = self._workers or (max(1, int(gpus / wanted)) if wanted else 1)
        self._members = [self._start() for _ in range(workers)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for member in self._members:
            member.stop()
        pending = [member.pending for member in self._members if member.attempt is not None]
        if pending:
            ray.wait(pending, num_returns=len(pending), timeout=_STOP_S)
        for member in self._members:
            member.kill()
        self._members = []

    def _start(self) -> _Member:
        self._started += 1
        return _Member(self._config, f"actor-{self._started}")

    def idle(self) -> int:
        """Actors that are set up and have nothing to do, and one attempt for each of the others to prepare."""
        ready = sum(member.idle or member.attempt is not None for member in self._members)
        busy = sum(member.attempt is not None for member in self._members)
        return ready - busy + max(0, busy - len(self._waiting))

    def submit(self, attempt: Attempt) -> None:
        """Give an attempt to an idle actor, else let a busy one open its video."""
        idle = next((member for member in self._members if member.idle), None)
        if idle is not None:
            idle.submit(attempt)
            return
        self._waiting.append(attempt)
        free = (m for m in self._members if m.attempt is not None and m.next not in self._waiting)
        if (member := next(free, None)) is not None:
            member.prepare(attempt)

    def _hand_out(self) -> None:
        """Give what waits to the actors that are idle: to each what it has opened, else what has waited longest."""
        for member in self._members:
            if member.idle and self._waiting:
                mine = next((attempt for attempt in self._waiting if attempt is member.next), self._waiting[0])
                self._waiting.remove(mine)
                member.submit(mine)

    def waiting(self) -> list[Attempt]:
        """Attempts that no actor has begun."""
        return list(self._waiting)

    def wait(self, timeout_s: float) -> list[Event]:
        """Attempts that are over. Raises what kept an actor from starting (no GPU, no weights)."""
        self._start_due()
        pending = {member.pending: member for member in self._members if member.pending is not None}
        if not pending:
            time.sleep(timeout_s)
            return []
        ready, others = ray.wait(list(pending), timeout=timeout_s, fetch_local=False)
        if ready and others:
            ready += ray.wait(others, num_returns=len(others), timeout=0, fetch_local=False)[0]
        events = [self._collect(pending[reference]) for reference in ready]
        self._hand_out()
        return [event for event in events if event is not None]

    def _collect(self, member: _Member) -> Event | None:
        try:
            event = member.collect()
        except (*_LOST, StoreUnavailable, WorkerLost) as error:  # the last two: a set-up that may go better
            return self._lose(member, error)
        self._failed_starts = 0
        if event and isinstance(event.result, Failure) and event.result.remedy is Remedy.SMALLER:
            self._lost += self._remove(member).counts  # only a fresh process has all of its device's memory
            self._members.append(self._start())
        return event

    def _lose(self, member: _Member, error: Exception) -> Event | None:
        logger.warning("%s is lost (%s); starting another", member.name, type(error).__name__)
        self._lost += _of_lost(self._remove(member).counts)
        if member.attempt is None:
            self._start_later(error)
            return None
        self._failed_starts = 0
        self._members.append(self._start())
        loss = _loss(error, member.name).about(member.attempt.task.name)
        return Event(attempt=member.attempt, result=Failure.of(loss, worker=member.name))

    def _remove(self, member: _Member) -> _Member:
        member.kill()
        self._members.remove(member)
        return member

    def _start_later(self, error: Exception) -> None:
        """A place where actors cannot start must not be tried as fast as they fail."""
        self._failed_starts += 1
        if self._failed_starts >= _MAX_LOST_IN_SETUP:
            raise WorkerLost(f"{self._failed_starts} workers in a row could not start: {error}") from error
        self._starts_due_s.append(time.monotonic() + _START_PAUSE_S * 2 ** (self._failed_starts - 1))

    def _start_due(self) -> None:
        now_s = time.monotonic()
        due = [due_s for due_s in self._starts_due_s if due_s <= now_s]
        self._starts_due_s = [due_s for due_s in self._starts_due_s if due_s > now_s]
        self._members += [self._start() for _ in due]

    def counts(self) -> WorkerCounts:
        """How far all actors are together, as of their last answers."""
        for member in self._members:
            member.poll_progress()
        return sum((member.counts for member in self._members), self._lost)


def _loss(error: Exception, worker: str) -> PipelineError:
    """What it was for the video that the worker had in hand."""
    if isinstance(error, OutOfMemoryError):
        return OutOfMemory(f"{worker} was ended because its machine ran out of memory: {error}")
    if getattr(error, "preempted", False):
        return Preempted(f"{worker} was lost with its machine: {error}")
    return WorkerLost(f"{worker} was lost: {error}")


def _of_lost(counts: WorkerCounts) -> WorkerCounts:
    """The video that a lost worker had in hand is begun again by another, what it did is not undone."""
    videos = max(0, counts.videos_begun - 1)
    return WorkerCounts(frames_done=counts.frames_done, frames_begun=counts.frames_done, videos_begun=videos)


def _check_gpus(wanted: float) -> None:
    """To a cluster GPUs may still come; on one machine an actor would wait for ever."""
    if wanted and not in_ray_cluster() and cluster_gpus() < wanted:
        raise InvalidInput(
            f"{wanted:g} GPU a worker was asked for, but Ray finds {cluster_gpus()} on this machine: check the "
            "driver (nvidia-smi), or run with --gpus-per-worker 0"
        )
