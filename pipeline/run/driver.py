"""A run: plan what is missing, keep the workers busy, commit what they finish. Only this driver commits.

    summary = run(tasks, config, LocalPool(config))

A second run of the same finds everything committed and does nothing.
"""

import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from pipeline.credentials import without_credentials
from pipeline.errors import InvalidInput, PipelineError
from pipeline.input.manifest import VideoTask
from pipeline.output.batches import RowBatches
from pipeline.output.commits import Commit, CommitLog
from pipeline.output.layout import claim_output
from pipeline.output.lease import Lease, LeaseTimes
from pipeline.output.schema import SCHEMAS
from pipeline.output.sweep import sweep
from pipeline.output.videos import sync_videos
from pipeline.output.writer import attempt_name
from pipeline.run.config import WorkerConfig
from pipeline.run.identity import video_identity
from pipeline.run.pool import Event, Failure, Pool
from pipeline.run.scheduler import Job, Scheduler, Work, cost, num_frames
from pipeline.run.worker import VideoOutcome, WorkerCounts
from pipeline.storage.store import Fingerprints, Store
from pipeline.version import code_version

_TICK_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is."""

    videos_total: int
    """Videos to do in this run; those that were complete before are not counted."""
    videos_done: int
    videos_failed: int
    frames_done: int
    frames_total: int | None
    """Of all videos to do: as headers and manifest tell, the others taken to be as long on average; None: unknown."""


@dataclass(kw_only=True)
class RunSummary:
    """What a run did."""

    run_id: str
    skipped: int = 0
    """Videos that were complete before."""
    complete: int = 0
    """Videos committed by this run."""
    frames: int = 0
    failed: dict[str, Failure] = field(default_factory=dict)
    """By video_id: the last failure of every video that this run could not complete."""
    truncated: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


def run(
    tasks: Sequence[VideoTask],
    config: WorkerConfig,
    pool: Pool,
    *,
    on_progress: Callable[[Progress], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
    lease_times: LeaseTimes | None = None,
) -> RunSummary:
    """Segment what is not yet committed and commit it, video by video. The pool starts only when there is work.

    `tell` gets what the operator should know at once, a line each. When this returns, OUTPUT holds what is committed
    and nothing else.

    Raises:
        InvalidOutput: OUTPUT is not ours or cannot be written.
        OutputInUse: another driver writes to it.
        StoreUnavailable: OUTPUT cannot be reached any more; what is committed stays.
    """
    run_id = new_run_id()
    store = Store(config.output)
    claim_output(store)
    with Lease(store, run_id, times=lease_times, tell=tell) as lease:
        return _Driver(run_id, config, pool, store, lease, on_progress).run(tasks)


class _Driver:
    def __init__(
        self,
        run_id: str,
        config: WorkerConfig,
        pool: Pool,
        store: Store,
        lease: Lease,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._config = config
        self._pool = pool
        self._store = store
        self._lease = lease
        self._on_progress = on_progress
        self._log = CommitLog(store)
        self._summary = RunSummary(run_id=run_id)
        self._videos = RowBatches(store, "videos", run_id)
        self._failures = RowBatches(store, "failures", run_id)
        self._videos_total = 0
        self._unstarted: dict[str, int | None] = {}
        """Frames of the videos that the pool does not have, by video_id; None where the manifest does not tell."""

    def run(self, tasks: Sequence[VideoTask]) -> RunSummary:
        work = self._plan(tasks)
        if work or self._summary.failed:
            self._record_run()
        try:
            if work:
                with self._pool:
                    self._work_off(work)
        except PipelineError:  # OUTPUT may be out of reach, or another driver's
            with suppress(PipelineError):
                self._failures.write()
            raise
        except BaseException:
            self._finish()
            raise
        self._finish()
        return self._summary

    def _finish(self) -> None:
        self._failures.write()
        self._lease.refresh()  # only the holder may delete
        sync_videos(self._store, self._log)
        sweep(self._store, self._log)

    def _plan(self, tasks: Sequence[VideoTask]) -> list[Work]:
        fingerprints = Fingerprints()
        settings = self._config.settings()
        identities = {}
        work = []
        for task in tasks:
            try:
                identity = self._identity(task, fingerprints, settings)
            except PipelineError as error:
                self._give_up(task, 0, Failure.of(error))
                continue
            identities[task.video_id] = identity
            if self._log.is_committed(task.video_id, identity):
                self._summary.skipped += 1
            else:
                work.append(Work(task=task, identity=identity, cost=cost(task, fingerprints.size_of(task.video_uri))))
        self._log.settle(identities)
        self._videos_total = len(work) + len(self._summary.failed)
        self._unstarted = {w.task.video_id: num_frames(w.task) for w in work}
        return work

    def _identity(self, task: VideoTask, fingerprints: Fingerprints, settings: dict[str, object]) -> str:
        return video_identity(
            task,
            video_fingerprint=_fingerprint(fingerprints, task.video_uri, task, "video"),
            mask_fingerprints=[_fingerprint(fingerprints, p.mask_uri, task, "mask") for p in task.prompts],
            checkpoint_fingerprint=self._config.checkpoint_fingerprint,
            settings=settings,
        )

    def _work_off(self, work: Sequence[Work]) -> None:
        scheduler = Scheduler(work)
        self._report()
        while not scheduler.done:
            self._submit(scheduler)
            for event in self._pool.wait(self._pause_s(scheduler)):
                self._handle(event, scheduler)
            self._videos.write_due()
            self._failures.write_due()
            self._report()

    def _pause_s(self, scheduler: Scheduler) -> float:
        due_s = scheduler.wait_s(time.monotonic()) if self._pool.idle() else None
        return _TICK_S if due_s is None else min(_TICK_S, due_s)

    def _submit(self, scheduler: Scheduler) -> None:
        while self._pool.idle():
            job = scheduler.next(time.monotonic())
            if job is None:
                return
            self._unstarted.pop(job.task.video_id, None)
            self._pool.submit(job, attempt_name(self._summary.run_id, job.number))

    def _handle(self, event: Event, scheduler: Scheduler) -> None:
        job, result = event.job, event.result
        if isinstance(result, VideoOutcome):
            self._commit(job, result)
            scheduler.succeeded(job.task.video_id)
            return
        again = scheduler.failed(job.task.video_id, result.remedy, now_s=time.monotonic())
        if again:
            self._unstarted[job.task.video_id] = num_frames(job.task)
            self._failures.add(self._failure_row(job.task, job.number, result))
        else:
            self._give_up(job.task, job.number, result)

    def _commit(self, job: Job, outcome: VideoOutcome) -> None:
        row = {
            **outcome.video,
            "attempts": job.number,
            "identity": job.identity,
            "code_version": code_version(),
            "committed_at": _now(),
            "run_id": self._summary.run_id,
        }
        self._lease.check()
        commit = Commit(video_id=outcome.video_id, identity=job.identity, files=outcome.files, video=row)
        if self._log.commit(commit):  # else another driver was faster with the same, and our files are swept
            self._videos.add(row)
        self._summary.complete += 1
        self._summary.frames += outcome.files["frames"].rows
        unusual = {"truncated": self._summary.truncated, "damaged": self._summary.damaged}
        if (status := str(outcome.video["status"])) in unusual:
            unusual[status].append(outcome.video_id)

    def _give_up(self, task: VideoTask, number: int, failure: Failure) -> None:
        self._summary.failed[task.video_id] = failure
        self._failures.add(self._failure_row(task, number, failure))

    def _failure_row(self, task: VideoTask, number: int, failure: Failure) -> dict[str, object]:
        row = {
            "run_id": self._summary.run_id,
            "video_id": task.video_id,
            "row": task.row,
            "attempt": number,
            "failed_at": _now(),
        }
        return {**row, **{name: value for name, value in asdict(failure).items() if name in SCHEMAS["failures"].names}}

    def _record_run(self) -> None:
        record = {
            "run_id": self._summary.run_id,
            "started_at": _now(),
            "code_version": code_version(),
            "python": platform.python_version(),
            "versions": {name: importlib.metadata.version(name) for name in ("torch", "ray", "av", "pyarrow")},
            "config": asdict(self._config),
            "exclusive": self._lease.exclusive,
            "videos": self._videos_total,
        }
        text = without_credentials(json.dumps(record, indent=1))
        self._store.put(f"_runs/{self._summary.run_id}.json", (text + "\n").encode())

    def _report(self) -> None:
        counts = self._pool.counts()
        self._on_progress(
            Progress(
                videos_total=self._videos_total,
                videos_done=self._summary.complete,
                videos_failed=len(self._summary.failed),
                frames_done=counts.frames_done,
                frames_total=self._frames_total(counts),
            )
        )

    def _frames_total(self, counts: WorkerCounts) -> int | None:
        unstarted = [*self._unstarted.values(), *(num_frames(job.task) for job in self._pool.waiting())]
        told = [frames for frames in unstarted if frames is not None]
        frames, videos = counts.frames_begun + sum(told), counts.videos_begun + len(told)
        if not videos:
            return None
        return round(frames + frames / videos * (len(unstarted) - len(told)))


def _fingerprint(fingerprints: Fingerprints, url: str, task: VideoTask, what: str) -> str:
    try:
        return fingerprints.of(url)
    except FileNotFoundError as error:
        raise InvalidInput(
            f"video {task.video_id!r} (row {task.row}): the {what} {url} does not exist; "
            "correct the manifest or put the file there"
        ) from error


def new_run_id() -> str:
    """UTC time and 8 random hex digits: sortable and unique."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.urandom(4).hex()}"


def _now() -> str:
    return datetime.now(UTC).isoformat()
