"""Workers as Ray actors, each with its own process and its own GPU."""

import logging
import platform
import time
from collections import Counter
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, cast

import ray
from ray.exceptions import (
    AuthenticationError,
    GetTimeoutError,
    LocalRayletDiedError,
    OutOfDiskError,
    OutOfMemoryError,
    RayError,
    RaySystemError,
    RayTaskError,
    RpcError,
    RuntimeEnvSetupError,
)

from model.runtime import KEEP_MEMORY_ENVIRONMENT, REPEATABLE_ENVIRONMENT
from pipeline.errors import (
    InvalidInput,
    MachineOutOfMemory,
    PipelineError,
    Preempted,
    Stalled,
    WorkerLost,
    WorkerUnfit,
)
from pipeline.input.manifest import VideoTask
from pipeline.run.attempt import Attempt, VideoOutcome
from pipeline.run.config import WorkerConfig
from pipeline.run.crew import Crew
from pipeline.run.failure import Failure
from pipeline.run.pool import Event, try_video
from pipeline.run.progress import WorkerCounts
from pipeline.run.ray_cluster import cluster_gpus, cluster_nodes, connect, in_ray_cluster
from pipeline.run.watch import Patience
from pipeline.run.worker import VideoWorker

logger = logging.getLogger(__name__)

_STOP_S = 1.0
"""How long an interrupted run waits for its workers to clean up."""
_UNPLACED_S = 30.0
"""Workers that have not started by then are told of, with what they ask for."""
_TOLD_AGAIN_S = 600.0
_RAY_GONE = (LocalRayletDiedError, RaySystemError, RpcError, AuthenticationError)
"""No worker, but the cluster itself or this process's part of it."""


class _Actor:
    """A `VideoWorker` in a process of its own."""

    def __init__(self, config: WorkerConfig, name: str) -> None:
        self._worker = VideoWorker(config)
        self._name = name

    def setup(self) -> PipelineError | None:
        """Returned, not raised: Ray would wrap it."""
        where = f"{self._name} on {platform.node()} cannot start"
        try:
            self._worker.setup()
        except PipelineError as error:
            return error.about(where)
        except Exception as error:
            return WorkerLost(f"{where}: {type(error).__name__}: {error}")
        return None

    def process(self, attempt: Attempt) -> tuple[VideoOutcome | Failure, WorkerCounts]:
        self._worker.limit_threads()
        return try_video(self._worker, attempt, self._name), self._worker.counts

    def prepare(self, task: VideoTask) -> None:
        self._worker.prepare(task)

    def pulse(self) -> tuple[WorkerCounts, str | None]:
        """How far it is, and what has been waited for too long."""
        return self._worker.counts, self._worker.overdue()

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
            "runtime_env": {"env_vars": {**KEEP_MEMORY_ENVIRONMENT, **REPEATABLE_ENVIRONMENT}},
        }
        self._actor = cast(Any, ray.remote(_Actor)).options(**options).remote(config, name)
        self.attempt: Attempt | None = None
        self.next: Attempt | None = None
        self.pending: Any = self._actor.setup.remote()
        self.began_s = time.monotonic()
        """When it began what it does."""
        self.counts = WorkerCounts()
        self._patience: Patience = config.patience
        self._pulse: Any = None
        self._asked_s = 0.0
        self._overdue: str | None = None

    @property
    def idle(self) -> bool:
        return self.pending is None

    def submit(self, attempt: Attempt) -> None:
        self.attempt, self.began_s = attempt, time.monotonic()
        self.pending = self._actor.process.remote(attempt)

    def prepare(self, attempt: Attempt) -> None:
        self.next = attempt
        self._actor.prepare.remote(attempt.task)

    def collect(self) -> Event | None:
        """What the ready call gave: the attempt that is over, or None after the set-up.

        Raises what kept the actor from starting, and Ray's errors for a lost one.
        """
        try:
            result = ray.get(self.pending)
        except RayTaskError as error:  # the actor lives
            if self.attempt is None:
                raise WorkerLost(f"{self.name} cannot start: {error}") from error
            what = f"{self.name}: {self.attempt.task.name} failed"
            result = Failure.unforeseen(error, what, worker=self.name), self.counts
        if self.attempt is None and result is not None:
            raise result
        attempt, self.attempt, self.pending = self.attempt, None, None
        self._pulse = self._overdue = None  # an answer still on its way is older
        if attempt is None:
            return None
        outcome, self.counts = result
        return Event(attempt=attempt, result=outcome)

    def poll_progress(self) -> None:
        """Ask how far it is, without waiting for the answer."""
        if self._pulse is None:
            self._pulse, self._asked_s = self._actor.pulse.remote(), time.monotonic()
        try:
            self.counts, self._overdue = ray.get(self._pulse, timeout=0)
            self._pulse = None
        except GetTimeoutError:
            pass
        except RayError:  # `wait` replaces it
            self._pulse = None

    def overdue(self, now_s: float) -> str | None:
        """What has been waited for too long in its attempt; also it may not answer at all."""
        if self.attempt is None:
            return None
        if self._pulse is not None:
            self.poll_progress()  # the answer may have come while the driver waited for a store
        if self._overdue or self._pulse is None:
            return self._overdue
        mute_s = now_s - max(self._asked_s, self.began_s)
        return f"no answer in {mute_s:.0f} s" if mute_s > self._patience.least_s else None

    def stop(self) -> None:
        """Let it end its video at the next frame and clean up."""
        self._actor.stop.remote()

    def kill(self) -> None:
        """End it, also if it is only unreachable and still writing: what it writes is never committed."""
        ray.kill(self._actor)


class RayPool:
    """Actors that join as their resources appear; lost, stuck and unfit ones are replaced by fresh ones."""

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
        self._started = 0
        self._tell_at_s = 0.0
        self._crew: Crew[_Member] = Crew(self._start, 0)

    def __enter__(self) -> Self:
        connect(self._workers)
        gpus = cluster_gpus() if self._config.device != "cpu" else 0
        wanted = self._gpus_per_worker if self._gpus_per_worker is not None else min(gpus, 1)
        _check_gpus(wanted)
        # Without a reservation "the GPU where there is one" would be the same one for every actor.
        device = "cpu" if self._config.device == "auto" and not wanted else self._config.device
        self._config = replace(self._config, reserved_gpus=float(wanted), device=device)
        self._crew = Crew(self._start, self._workers or (max(1, int(gpus / wanted)) if wanted else 1))
        self._crew.start_due(time.monotonic())
        self._tell_at_s = time.monotonic() + _UNPLACED_S  # of all: to begin with so many takes a while itself
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for member in self._crew.members:
            member.stop()
        pending = [member.pending for member in self._crew.members if member.attempt is not None]
        if pending:
            ray.wait(pending, num_returns=len(pending), timeout=_STOP_S)
        self._crew.dismiss()

    def _start(self) -> _Member:
        self._started += 1
        return _Member(self._config, f"actor-{self._started}")

    def idle(self) -> int:
        """Actors that are set up and have nothing to do, and one attempt for each of the others to prepare."""
        return self._crew.idle()

    def submit(self, attempt: Attempt) -> None:
        """Give an attempt to an idle actor, else let a busy one open its video."""
        self._crew.submit(attempt)

    def waiting(self) -> list[Attempt]:
        """Attempts that no actor has begun."""
        return self._crew.waiting()

    def wait(self, timeout_s: float) -> list[Event]:
        """Attempts that are over. Raises what keeps actors from starting (no GPU, no weights), as of `Crew`."""
        self._crew.start_due(time.monotonic())
        self._tell_of_unplaced()
        pending = {member.pending: member for member in self._crew.members if member.pending is not None}
        if not pending:
            time.sleep(timeout_s)
            return []
        ready, others = ray.wait(list(pending), timeout=timeout_s, fetch_local=False)
        if ready and others:
            ready += ray.wait(others, num_returns=len(others), timeout=0, fetch_local=False)[0]
        events = [self._collect(pending[reference]) for reference in ready]
        events += [self._end_stuck(member) for member in self._crew.members]
        self._crew.hand_out()
        return [event for event in events if event is not None]

    def _collect(self, member: _Member) -> Event | None:
        try:
            event = member.collect()
        except _RAY_GONE as error:
            raise WorkerLost(f"Ray failed: {error}: what is complete stays, call again once it is up") from error
        except (RayError, PipelineError) as error:
            return self._lose(member, error)
        if event is None:
            self._crew.started(member)
        else:
            self._crew.over(member, event.result, time.monotonic())
        return event

    def _lose(self, member: _Member, error: Exception) -> Event | None:
        reason = error if isinstance(error, PipelineError) else _loss(error, member.name)
        if member.attempt is not None:
            logger.warning("%s is lost (%s); starting another", member.name, type(error).__name__)
            return self._give_up(member, reason)
        logger.warning("%s; another one will try", reason)
        self._crew.not_started(member, error, time.monotonic())
        return None

    def _end_stuck(self, member: _Member) -> Event | None:
        if (overdue := member.overdue(time.monotonic())) is None:
            return None
        logger.warning("%s is stuck (%s); starting another", member.name, overdue)
        return self._give_up(member, Stalled(f"stopped, because {member.name} showed {overdue}"))

    def _give_up(self, member: _Member, error: PipelineError) -> Event | None:
        if (attempt := member.attempt) is None:
            return None
        self._crew.lost(member)
        return Event(attempt=attempt, result=Failure.of(error.about(attempt.task.name), worker=member.name))

    def _tell_of_unplaced(self) -> None:
        """Nobody learns from silence that no node has what is asked for."""
        now_s = time.monotonic()
        if now_s < self._tell_at_s:
            return
        late = [member for member in self._crew.starting if now_s - member.began_s >= _UNPLACED_S]
        if late:
            self._tell_at_s = now_s + _TOLD_AGAIN_S
            logger.warning("%s", _unplaced(len(late), self._config.reserved_gpus))

    def counts(self) -> WorkerCounts:
        """How far all actors are together, as of their last answers."""
        for member in self._crew.members:
            member.poll_progress()
        return self._crew.counts()


def _loss(error: Exception, worker: str) -> PipelineError:
    """What it was for the video that the worker had in hand."""
    if isinstance(error, OutOfMemoryError):
        return MachineOutOfMemory(f"{worker} was ended because its machine ran out of memory: {error}")
    if isinstance(error, OutOfDiskError | RuntimeEnvSetupError):
        return WorkerUnfit(f"{worker} cannot work on its machine: {error}")
    if getattr(error, "preempted", False):
        return Preempted(f"{worker} was lost with its machine: {error}")
    return WorkerLost(f"{worker} was lost: {error}")


def _unplaced(workers: int, gpus: float) -> str:
    """What so many workers wait for, and what there is."""
    nodes = Counter(cluster_nodes())
    there = ", ".join(f"{n} with {cpus:g} CPU and {has:g} GPU" for (cpus, has), n in nodes.most_common())
    fits = any(cpus >= 1 and has >= gpus for cpus, has in nodes)
    advice = (
        "they wait for others to end, or for nodes"
        if fits
        else "no node has that much: lower --gpus-per-worker, or add nodes that have it"
    )
    return (
        f"{workers} workers have not started after {_UNPLACED_S:.0f} s: each asks for 1 CPU and {gpus:g} GPU, the "
        f"nodes of the cluster are {there or 'none'}; {advice}"
    )


def _check_gpus(wanted: float) -> None:
    """To a cluster GPUs may still come; on one machine an actor would wait for ever."""
    if wanted and not in_ray_cluster() and cluster_gpus() < wanted:
        raise InvalidInput(
            f"{wanted:g} GPU a worker was asked for, but Ray finds {cluster_gpus()} on this machine: check the "
            "driver (nvidia-smi), or run with --gpus-per-worker 0"
        )
