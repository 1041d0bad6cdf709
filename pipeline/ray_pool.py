"""Workers as Ray actors, each with its own process and its own GPU. The only file of the package that knows Ray."""

import logging
import os
import time
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, cast

import ray
from ray.exceptions import GetTimeoutError, NodeDiedError, OutOfMemoryError, RayActorError, WorkerCrashedError

from pipeline.config import WorkerConfig, in_ray_cluster
from pipeline.errors import InvalidInput, PipelineError, WorkerLost
from pipeline.run import Event, Failure, attempt_job
from pipeline.scheduler import Job
from pipeline.worker import VideoOutcome, VideoWorker, WorkerCounts

logger = logging.getLogger(__name__)

_MAX_LOST_IN_SETUP = 3
_LOST = (RayActorError, NodeDiedError, WorkerCrashedError, OutOfMemoryError)
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


def connect(workers: int | None = None) -> None:
    """Attach to the cluster this process runs in, else start Ray on this machine.

    `workers`: CPUs that a Ray started here hands out, at least; None: the machine's.
    """
    if ray.is_initialized():
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if in_ray_cluster():
        ray.init(address="auto", **quiet)
    else:
        cpus = max(workers or 1, os.cpu_count() or 1)
        ray.init(address="local", num_cpus=cpus, include_dashboard=False, **quiet)


def cluster_gpus() -> int:
    """GPUs of the cluster that `connect` attached to."""
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return int(resources.get("GPU", 0))


class _Actor:
    """A `VideoWorker` in a process of its own."""

    def __init__(self, config: WorkerConfig, name: str) -> None:
        self._worker = VideoWorker(config)
        self._name = name

    def setup(self) -> Exception | None:
        """Returned, not raised: Ray would wrap it."""
        try:
            self._worker.setup()
        except PipelineError as error:
            return error
        return None

    def process(self, job: Job, attempt: str) -> VideoOutcome | Failure:
        self._worker.limit_threads()
        return attempt_job(self._worker, job, attempt, self._name)

    def counts(self) -> WorkerCounts:
        return self._worker.counts


class _Member:
    """The driver's side of one actor: its handle, what it is doing, how far it is."""

    def __init__(self, config: WorkerConfig, name: str) -> None:
        self.name = name
        # Two threads: one works, one answers how far it is.
        options = {"num_cpus": 1, "num_gpus": config.reserved_gpus, "max_restarts": 0, "max_concurrency": 2}
        self._actor = cast(Any, ray.remote(_Actor)).options(**options).remote(config, name)
        self.job: Job | None = None
        self.pending: Any = self._actor.setup.remote()
        self._progress: Any = None
        self.counts = WorkerCounts()

    @property
    def idle(self) -> bool:
        return self.pending is None

    def submit(self, job: Job, attempt: str) -> None:
        self.job = job
        self.pending = self._actor.process.remote(job, attempt)

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
        self._lost_in_setup = 0
        self._lost = WorkerCounts()

    def __enter__(self) -> Self:
        connect(self._workers)
        gpus = cluster_gpus() if self._config.device != "cpu" else 0
        wanted = self._gpus_per_worker if self._gpus_per_worker is not None else min(gpus, 1)
        _check_gpus(wanted)
        self._config = replace(self._config, reserved_gpus=float(wanted))
        workers = self._workers or (max(1, int(gpus / wanted)) if wanted else 1)
        self._members = [self._start() for _ in range(workers)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for member in self._members:
            member.kill()
        self._members = []

    def _start(self) -> _Member:
        self._started += 1
        return _Member(self._config, f"actor-{self._started}")

    def idle(self) -> int:
        """Actors that are set up and have nothing to do."""
        return sum(member.idle for member in self._members)

    def submit(self, job: Job, attempt: str) -> None:
        """Give a job to an idle actor."""
        next(member for member in self._members if member.idle).submit(job, attempt)

    def wait(self, timeout_s: float) -> list[Event]:
        """Attempts that are over. Raises what kept an actor from starting (no GPU, no weights)."""
        pending = {member.pending: member for member in self._members if member.pending is not None}
        if not pending:
            time.sleep(timeout_s)
            return []
        ready, others = ray.wait(list(pending), timeout=timeout_s, fetch_local=False)
        if ready and others:
            ready += ray.wait(others, num_returns=len(others), timeout=0, fetch_local=False)[0]
        events = [self._finished(pending[reference]) for reference in ready]
        return [event for event in events if event is not None]

    def _finished(self, member: _Member) -> Event | None:
        job, reference = member.job, member.pending
        member.job = member.pending = None
        try:
            result = ray.get(reference)
        except _LOST as error:
            return self._replace(member, job, error)
        if job is not None:
            return Event(job=job, result=result)
        if result is not None:
            raise result
        return None

    def _replace(self, member: _Member, job: Job | None, error: Exception) -> Event | None:
        logger.warning("%s is lost (%s); starting another", member.name, type(error).__name__)
        member.kill()
        done = member.counts.frames_done
        self._lost += WorkerCounts(frames_done=done, frames_begun=done)
        if job is None:
            self._lost_in_setup += 1
            if self._lost_in_setup >= _MAX_LOST_IN_SETUP:
                raise WorkerLost(f"{self._lost_in_setup} workers died while they were starting: {error}")
        self._members[self._members.index(member)] = self._start()
        if job is None:
            return None
        lost = WorkerLost(f"{member.name} was lost while it had video {job.task.video_id!r}: {error}")
        return Event(job=job, result=Failure.of(lost, worker=member.name))

    def counts(self) -> WorkerCounts:
        """How far all actors are together, as of their last answers."""
        for member in self._members:
            member.poll_progress()
        return sum((member.counts for member in self._members), self._lost)


def _check_gpus(wanted: float) -> None:
    """To a cluster GPUs may still come; on one machine an actor would wait for ever."""
    if wanted and not in_ray_cluster() and cluster_gpus() < wanted:
        raise InvalidInput(
            f"{wanted:g} GPU a worker was asked for, but Ray finds {cluster_gpus()} on this machine: check the "
            "driver (nvidia-smi), or run with --gpus-per-worker 0"
        )
