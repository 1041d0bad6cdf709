"""A run: plan what is missing, keep the workers busy, commit what they finish. Only this driver commits.

    summary = run(tasks, config, LocalPool(config))

A second run of the same finds everything committed and does nothing.
"""

import importlib.metadata
import platform
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from pipeline.errors import PipelineError
from pipeline.input.manifest import VideoTask
from pipeline.output.batches import RowBatches
from pipeline.output.commits import Commit, create_commit
from pipeline.output.committed import Committed, read_committed
from pipeline.output.layout import new_run_id
from pipeline.output.lease import Lease, LeaseTimes
from pipeline.output.marker import claim_output, raise_version
from pipeline.output.runs import RunRecord, write_run
from pipeline.output.schema import NEEDS_PROMPT, SCHEMA_VERSION
from pipeline.output.sweep import Sweep, sweep
from pipeline.output.trim import trim
from pipeline.output.videos import sync_videos
from pipeline.run.attempt import Attempt, VideoOutcome, Work
from pipeline.run.config import WorkerConfig
from pipeline.run.failure import Failure
from pipeline.run.outlook import Outlook
from pipeline.run.plan import Plan, plan
from pipeline.run.pool import Event, Pool
from pipeline.run.progress import Progress, frames_total
from pipeline.run.scheduler import Scheduler
from pipeline.storage.fingerprints import Fingerprints
from pipeline.storage.store import Store
from pipeline.version import code_version

GRACE_S = 900.0
"""How long a replaced result stays for those who have it open."""
_TICK_S = 0.5
_SHOWN = 5
_PACKAGES = ("torch", "ray", "av", "pyarrow")
"""Their versions are recorded."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Clocks:
    """The time, as a run sees it."""

    monotonic_s: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = _now
    sleep: Callable[[float], None] = time.sleep


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
    needs_prompt: dict[str, int] = field(default_factory=dict)
    """By video_id, those of before included: the frame that a further prompt is needed on, or after."""


def run(
    tasks: Sequence[VideoTask],
    config: WorkerConfig,
    pool: Pool,
    *,
    on_progress: Callable[[Progress], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
    grace_s: float = GRACE_S,
    not_exclusive: bool = False,
    lease_times: LeaseTimes | None = None,
    clocks: Clocks | None = None,
) -> RunSummary:
    """Segment what is not yet committed and commit it, video by video. The pool starts only when there is work.

    `tell` gets what the operator should know at once, a line each. `stop` is asked between requests, never during one:
    True ends the run with KeyboardInterrupt. When this returns, OUTPUT holds what is committed, results that were
    replaced less than `grace_s` ago, and nothing else. `not_exclusive`: as of `Lease`.

    Raises:
        InvalidOutput: OUTPUT is not ours, cannot be written, or ignores conditional creates.
        OutputInUse: another driver writes to it.
        StoreUnavailable: OUTPUT cannot be reached any more; what is committed stays.
        MostAttemptsFail: going on makes no sense as things are; what is committed stays.
        WorkerLost, InvalidInput: no worker can start.
    """
    run_id, clocks = new_run_id(), clocks or Clocks()
    store = Store(config.output)
    version = claim_output(store)
    lease = Lease(
        store,
        run_id,
        times=lease_times,
        tell=tell,
        clock=clocks.monotonic_s,
        sleep=clocks.sleep,
        not_exclusive=not_exclusive,
    )
    with lease:
        if version < SCHEMA_VERSION:
            raise_version(store)
        said = _Said(on_progress=on_progress, tell=tell, stop=stop)
        return _Driver(run_id, config, pool, store, lease, said, clocks, grace_s).run(tasks)


@dataclass(frozen=True, kw_only=True)
class _Said:
    """Between a run and who called it."""

    on_progress: Callable[[Progress], None]
    tell: Callable[[str], None]
    stop: Callable[[], bool]


class _Driver:
    def __init__(
        self,
        run_id: str,
        config: WorkerConfig,
        pool: Pool,
        store: Store,
        lease: Lease,
        said: _Said,
        clocks: Clocks,
        grace_s: float,
    ) -> None:
        self._config = config
        self._pool = pool
        self._store = store
        self._lease = lease
        self._said = said
        self._clocks = clocks
        self._grace_s = grace_s
        self._summary = RunSummary(run_id=run_id)
        self._videos = RowBatches(store, "videos", run_id, clock=clocks.monotonic_s)
        self._failures = RowBatches(store, "failures", run_id, clock=clocks.monotonic_s)
        self._videos_total = 0
        self._unstarted: dict[str, int | None] = {}
        """Frames of the videos that the pool does not have, by video_id; None where the manifest does not tell."""

    def run(self, tasks: Sequence[VideoTask]) -> RunSummary:
        committed = read_committed(self._store)
        self._lease.rise_above(committed.newest_driver)
        self._tell_broken(committed)
        todo = plan(tasks, self._config, committed.has, Fingerprints())
        self._begin(todo, committed)
        try:
            if todo.work:
                with self._pool:
                    self._work_off(todo.work)
        except BaseException:  # OUTPUT may be out of reach, or another driver's, or there is no time left
            with suppress(PipelineError):
                self._failures.write()
            raise
        self._failures.write()
        if todo.work or not committed.tidy:
            self._tidy()
        return self._summary

    def _begin(self, todo: Plan, committed: Committed) -> None:
        self._summary.skipped = len(todo.skipped)
        self._summary.needs_prompt |= committed.needing_prompt({task.video_id for task in todo.skipped})
        for task, failure in todo.failed:
            self._give_up(task, 0, failure)
        self._videos_total = len(todo.work) + len(todo.failed)
        self._unstarted = {work.task.video_id: work.task.frames_in_span for work in todo.work}
        if self._videos_total:
            write_run(self._store, self._record())

    def _tell_broken(self, committed: Committed) -> None:
        if committed.broken:
            shown = ", ".join(file.path for file in committed.broken[:_SHOWN])
            more = ", ..." if len(committed.broken) > _SHOWN else ""
            self._said.tell(
                f"{len(committed.broken)} commits do not count, for files that they list are gone or short "
                f"({shown}{more}): their videos are done again where the manifest has them"
            )

    def _tidy(self) -> None:
        self._lease.refresh()  # only the holder may delete
        sync_videos(self._store, read_committed(self._store))
        what = Sweep.by(self._lease, self._summary.run_id, self._grace_s)
        if (waiting := sweep(self._store, what).waiting) > 0:
            self._said.tell(
                f"the files of {waiting} replaced results stay for {self._grace_s:.0f} s for readers that have them "
                "open: tables.open leaves them out, a plain glob does not until a later run removes them"
            )
        trim(self._store, now_s=self._lease.held_s)

    def _work_off(self, work: Sequence[Work]) -> None:
        scheduler, outlook = Scheduler(work, self._summary.run_id), Outlook()
        self._report()
        while not scheduler.done:
            if self._said.stop():
                raise KeyboardInterrupt
            self._submit(scheduler, outlook)
            for event in self._pool.wait(self._pause_s(scheduler)):
                self._handle(event, scheduler, outlook)
            outlook.check(self._clocks.monotonic_s())
            self._videos.write_due()
            self._failures.write_due()
            self._report()

    def _pause_s(self, scheduler: Scheduler) -> float:
        due_s = scheduler.wait_s(self._clocks.monotonic_s()) if self._pool.idle() else None
        return _TICK_S if due_s is None else min(_TICK_S, due_s)

    def _submit(self, scheduler: Scheduler, outlook: Outlook) -> None:
        while self._pool.idle():
            now_s = self._clocks.monotonic_s()
            attempt = scheduler.next(now_s, shortest=outlook.doubtful)
            if attempt is None:
                return
            outlook.began(attempt.task.video_id, now_s)
            self._unstarted.pop(attempt.task.video_id, None)
            self._pool.submit(attempt)

    def _handle(self, event: Event, scheduler: Scheduler, outlook: Outlook) -> None:
        attempt, video_id, now_s = event.attempt, event.attempt.task.video_id, self._clocks.monotonic_s()
        outcome = event.result
        result = self._commit_of(attempt, outcome) if isinstance(outcome, VideoOutcome) else outcome
        if isinstance(result, Commit):
            self._commit(result)
            scheduler.succeeded(video_id)
            outlook.succeeded(video_id, now_s)
            return
        outlook.failed(video_id, result, now_s)
        if scheduler.failed(video_id, result.remedy, now_s=now_s, worker=result.worker):
            self._unstarted[video_id] = attempt.task.frames_in_span
            self._failures.add(self._failure_row(attempt.task, attempt.number, result))
        else:
            self._give_up(attempt.task, attempt.number, result)

    def _commit_of(self, attempt: Attempt, outcome: VideoOutcome) -> Commit | Failure:
        """A `Failure` where a worker tells of a video what no table can hold."""
        identity = attempt.work.identity
        video = {
            **outcome.video,
            "attempts": attempt.number,
            "identity": identity,
            "code_version": code_version(),
            "committed_at": self._clocks.now().isoformat(),
            "run_id": self._summary.run_id,
        }
        try:
            return Commit(
                video_id=outcome.video_id,
                identity=identity,
                files=outcome.files,
                video=video,
                driver=self._lease.number,
            )
        except Exception as error:  # whatever one video brings, it is its own failure
            return Failure.unforeseen(error, f"{attempt.task.name}: cannot be committed")

    def _commit(self, commit: Commit) -> None:
        self._lease.check()
        created = create_commit(self._store, commit)
        # Whoever took over meanwhile has read the commits without this one. It may stand: its files, if they are still
        # there, are right, and if not, it does not count. But no more of ours may follow.
        self._lease.check()
        if created:
            self._videos.add(commit.row)
        self._summary.complete += 1
        self._summary.frames += commit.files["frames"].rows
        unusual = {"truncated": self._summary.truncated, "damaged": self._summary.damaged}
        if (status := str(commit.video["status"])) in unusual:
            unusual[status].append(commit.video_id)
        elif status == NEEDS_PROMPT:
            self._summary.needs_prompt[commit.video_id] = int(str(commit.video["needs_prompt_frame"]))

    def _give_up(self, task: VideoTask, number: int, failure: Failure) -> None:
        self._summary.failed[task.video_id] = failure
        self._failures.add(self._failure_row(task, number, failure))

    def _failure_row(self, task: VideoTask, number: int, failure: Failure) -> dict[str, object]:
        return {
            "run_id": self._summary.run_id,
            "video_id": task.video_id,
            "row": task.row,
            "attempt": number,
            "failed_at": self._clocks.now().isoformat(),
            **failure.columns(),
        }

    def _record(self) -> RunRecord:
        return RunRecord(
            run_id=self._summary.run_id,
            started_at=self._clocks.now(),
            code_version=code_version(),
            python=platform.python_version(),
            versions={name: importlib.metadata.version(name) for name in _PACKAGES},
            config=asdict(self._config),
            exclusive=self._lease.exclusive,
            videos=self._videos_total,
        )

    def _report(self) -> None:
        counts = self._pool.counts()
        unstarted = [*self._unstarted.values(), *(attempt.task.frames_in_span for attempt in self._pool.waiting())]
        self._said.on_progress(
            Progress(
                videos_total=self._videos_total,
                videos_done=self._summary.complete,
                videos_failed=len(self._summary.failed),
                frames_done=counts.frames_done,
                frames_total=frames_total(counts, unstarted),
            )
        )
