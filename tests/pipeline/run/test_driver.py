"""Runs with the local pool: the contract on two stores, retries, interruption, what is recorded."""

import errno
import json
import os
import platform
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from model.checkpoint import fingerprint, to_bytes
from pipeline.errors import (
    InvalidCheckpoint,
    InvalidOutput,
    MostAttemptsFail,
    OutOfMemory,
    OutputInUse,
    Remedy,
    StoreUnavailable,
)
from pipeline.input.manifest import VideoTask
from pipeline.input.weights import load_network
from pipeline.output import tables
from pipeline.output.layout import attempt_name, safe_name
from pipeline.output.lease import Lease, LeaseTimes
from pipeline.run import driver as run_module
from pipeline.run.attempt import Attempt, VideoOutcome
from pipeline.run.config import WorkerConfig
from pipeline.run.driver import run
from pipeline.run.failure import Failure
from pipeline.run.pool import Event, LocalPool, Pool
from pipeline.run.progress import Progress, WorkerCounts
from pipeline.run.scheduler import Scheduler
from pipeline.run.worker import VideoWorker
from pipeline.storage.store import Store
from tests.pipeline.corpus import HEIGHT, WIDTH, Corpus, config_for, copy_corpus, digests, write_corpus
from tests.pipeline.media import moving_square, write_video
from tests.pipeline.pool_contract import NoPool, PoolContract

Process = Callable[..., VideoOutcome]


class TestLocalPoolOnFiles(PoolContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make_pool(cls) -> Callable[[WorkerConfig], Pool]:
        return LocalPool


class TestLocalPoolInMemory(PoolContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make_pool(cls) -> Callable[[WorkerConfig], Pool]:
        return LocalPool

    @pytest.fixture(scope="class")
    @classmethod
    def corpora(cls, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Corpus]:
        def make() -> Corpus:
            folder = tmp_path_factory.mktemp("corpus")
            write_corpus(folder)
            return copy_corpus(folder, f"memory://{uuid.uuid4().hex}/corpus")

        return make

    @pytest.fixture(scope="class")
    @classmethod
    def outputs(cls) -> Callable[[], str]:
        return lambda: f"memory://{uuid.uuid4().hex}/out"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture
def config(tmp_path: Path) -> WorkerConfig:
    return config_for(tmp_path / "out")


@pytest.fixture
def tasks(corpus: Corpus) -> list[VideoTask]:
    """Two short videos."""
    return [task for task in corpus.tasks if task.video_id in ("folder", "span")]


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "Scheduler", partial(Scheduler, pause_s=0.01))


def failing(video_id: str, error: Exception, times: int) -> Process:
    """`VideoWorker.process` that fails a few times at one video."""
    process, left = VideoWorker.process, [error] * times

    def flaky(self: VideoWorker, attempt: Attempt) -> VideoOutcome:
        if attempt.task.video_id == video_id and left:
            raise left.pop()
        return process(self, attempt)

    return flaky


def failures(config: WorkerConfig) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = tables.open(config.output, "failures").to_table().to_pylist()
    return sorted(rows, key=lambda row: row["attempt"])


@pytest.mark.usefixtures("no_pauses")
class TestRetries:
    def test_a_retryable_failure_is_tried_again(
        self, tasks: list[VideoTask], config: WorkerConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(VideoWorker, "process", failing("span", StoreUnavailable("no answer"), 1))
        summary = run(tasks, config, LocalPool(config))
        assert (summary.complete, summary.failed) == (2, {})
        (failure,) = failures(config)
        assert (failure["video_id"], failure["attempt"], failure["retryable"]) == ("span", 1, True)
        assert (failure["cause"], failure["message"]) == ("StoreUnavailable", "no answer")
        videos = tables.open(config.output, "videos").to_table().to_pylist()
        assert {row["video_id"]: row["attempts"] for row in videos} == {"folder": 1, "span": 2}

    def test_after_three_attempts_the_run_goes_on_without_the_video(
        self, tasks: list[VideoTask], config: WorkerConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(VideoWorker, "process", failing("span", StoreUnavailable("no answer"), 99))
        summary = run(tasks, config, LocalPool(config))
        assert summary.complete == 1
        assert summary.failed["span"].message == "no answer"
        assert [row["attempt"] for row in failures(config)] == [1, 2, 3]

    def test_out_of_memory_is_tried_once_more_in_smaller_blocks(
        self, tasks: list[VideoTask], config: WorkerConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        quiet = config_for(tmp_path / "quiet")
        run(tasks, quiet, LocalPool(quiet))
        monkeypatch.setattr(VideoWorker, "process", failing("span", OutOfMemory("video 'span': no memory", 3), 1))
        assert run(tasks, config, LocalPool(config)).failed == {}
        (failure,) = failures(config)
        assert (failure["cause"], failure["frame_index"]) == ("OutOfMemory", 3)
        videos = tables.open(config.output, "videos").to_table().to_pylist()
        assert {row["video_id"]: row["smaller_blocks"] for row in videos} == {"folder": False, "span": True}
        masks = tables.open(config.output, "masks").to_table(columns=["video_id", "frame_index", "rle"])
        expected = tables.open(quiet.output, "masks").to_table(columns=["video_id", "frame_index", "rle"])
        by_frame = [("video_id", "ascending"), ("frame_index", "ascending")]
        assert masks.sort_by(by_frame).equals(expected.sort_by(by_frame))

    def test_a_second_lack_of_memory_ends_it(
        self, tasks: list[VideoTask], config: WorkerConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(VideoWorker, "process", failing("span", OutOfMemory("video 'span': no memory", 3), 9))
        assert list(run(tasks, config, LocalPool(config)).failed) == ["span"]
        assert [row["attempt"] for row in failures(config)] == [1, 2]

    def test_the_next_run_tries_failed_videos_again(
        self, tasks: list[VideoTask], config: WorkerConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(VideoWorker, "process", failing("span", StoreUnavailable("no answer"), 3))
        run(tasks, config, LocalPool(config))
        summary = run(tasks, config, LocalPool(config))
        assert (summary.skipped, summary.complete, summary.failed) == (1, 1, {})

    def test_an_unexpected_error_is_tried_once_more_by_a_fresh_worker(
        self, tasks: list[VideoTask], config: WorkerConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(VideoWorker, "process", failing("span", ZeroDivisionError(), 1))
        assert run(tasks, config, LocalPool(config)).complete == 2
        (failure,) = failures(config)
        assert (failure["attempt"], failure["retryable"], failure["worker"]) == (1, True, "local")
        assert failure["message"] == "ZeroDivisionError()"

    def test_and_then_it_is_the_failure_of_one_video(
        self, tasks: list[VideoTask], config: WorkerConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(VideoWorker, "process", failing("span", ZeroDivisionError(), 9))
        summary = run(tasks, config, LocalPool(config))
        assert summary.complete == 1
        assert summary.failed["span"].cause == "ZeroDivisionError"
        assert [(row["attempt"], row["worker"]) for row in failures(config)] == [(1, "local"), (2, "local-2")]

    def test_where_nothing_works_the_run_stops_and_the_next_one_goes_on(
        self, tasks: list[VideoTask], config: WorkerConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        many = [replace(tasks[1], video_id=f"v{n}") for n in range(30)]
        with monkeypatch.context() as patched:
            patched.setattr(VideoWorker, "_process", no_space)
            with pytest.raises(
                MostAttemptsFail, match=f"with WorkerUnfit on {platform.node()}, at last: .*No space left.*make room in"
            ):
                run(many, config, LocalPool(config))
        tried = {row["video_id"] for row in failures(config)}
        assert 10 <= len(tried) < 20
        assert run(many, config, LocalPool(config)).complete == 30


def no_space(*_arguments: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


class BusyPool:
    """One worker that fails its first attempt and is busy with the next for longer than the retry has to wait."""

    def __init__(self) -> None:
        self.waits_when_busy: list[float] = []
        self._attempts: list[Attempt] = []
        self._waited_s = 0.0
        self._running: Attempt | None = None

    def __enter__(self) -> "BusyPool":
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def idle(self) -> int:
        return 0 if self._running else 1

    def submit(self, attempt: Attempt) -> None:
        self._running = attempt
        self._attempts.append(attempt)

    def waiting(self) -> list[Attempt]:
        return []

    def wait(self, timeout_s: float) -> list[Event]:
        assert self._running
        if len(self._attempts) == 2 and len(self.waits_when_busy) < 20:
            self.waits_when_busy.append(timeout_s)
            time.sleep(0.005)
            return []
        attempt, self._running = self._running, None
        return [
            Event(
                attempt=attempt,
                result=Failure(
                    cause="Test", message="no", remedy=Remedy.LATER if len(self._attempts) == 1 else Remedy.NONE
                ),
            )
        ]

    def counts(self) -> WorkerCounts:
        return WorkerCounts()


def test_the_driver_does_not_spin_while_a_retry_waits_for_a_worker(
    tasks: list[VideoTask], config: WorkerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "Scheduler", partial(Scheduler, pause_s=0.02))
    pool = BusyPool()
    run(tasks, config, pool)
    assert len(pool.waits_when_busy) == 20
    assert min(pool.waits_when_busy) > 0


class TestInterruption:
    def test_what_is_committed_stays_and_the_next_run_goes_on(
        self, corpus: Corpus, config: WorkerConfig, tmp_path: Path
    ) -> None:
        def interrupt(progress: Progress) -> None:
            if progress.videos_done == 1:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(corpus.tasks + corpus.broken_tasks[:1], config, LocalPool(config), on_progress=interrupt)
        assert len(digests(config.output)) == 2
        assert [row["video_id"] for row in failures(config)] == ["missing"]
        summary = run(corpus.tasks, config, LocalPool(config))
        assert (summary.skipped, summary.complete) == (1, 3)
        untouched = config_for(tmp_path / "untouched")
        run(corpus.tasks, untouched, LocalPool(untouched))
        assert digests(config.output) == digests(untouched.output)

    def test_it_leaves_no_thread_and_no_temporary_folder(
        self, config: WorkerConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        corpus = write_corpus(tmp_path / "corpus")
        write_video(tmp_path / "corpus" / "two.mp4", moving_square(500, HEIGHT, WIDTH))
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(scratch))
        threads, begun = set(threading.enumerate()), list[int]()

        def interrupt(progress: Progress) -> None:
            if progress.frames_done:
                begun.append(len(list(scratch.glob("vos-batch-*"))))
                raise KeyboardInterrupt

        (task,) = (task for task in corpus.tasks if task.video_id == "two/objects")
        pool = LocalPool(config)
        with pytest.raises(KeyboardInterrupt):
            run([task], config, pool, on_progress=interrupt)
        assert begun == [1]
        assert set(threading.enumerate()) <= threads
        assert list(scratch.iterdir()) == []
        assert pool.counts().frames_done < 500
        assert digests(config.output) == {}


class Overtaken(LocalPool):
    """Another run begins while this one has its first video in hand."""

    other: Callable[[], object]

    def submit(self, attempt: Attempt) -> None:
        other, self.other = self.other, lambda: None
        other()
        super().submit(attempt)


class TestASecondDriver:
    def test_it_is_refused_while_the_first_one_works(self, tasks: list[VideoTask], config: WorkerConfig) -> None:
        pool = Overtaken(config)
        second = partial(run, tasks, config, LocalPool(config), lease_times=LeaseTimes(refresh_s=0.1))

        def refused() -> None:
            with pytest.raises(
                OutputInUse, match=f"{config.output} is being written by another driver.*pid {os.getpid()}"
            ):
                second()

        pool.other = refused
        summary = run(tasks, config, pool, lease_times=LeaseTimes(refresh_s=0.05))
        assert (summary.complete, summary.failed) == (2, {})
        assert second().skipped == 2

    def test_a_driver_that_lost_its_lease_commits_nothing_more(
        self, tasks: list[VideoTask], config: WorkerConfig
    ) -> None:
        """It was silent for longer than a lease lasts, and another driver took over."""
        pool = Overtaken(config)
        silent, other = LeaseTimes(refresh_s=1e6, doubt_s=0.0), LeaseTimes(refresh_s=0.05, stale_s=0.1)
        pool.other = partial(run, tasks[:1], config, LocalPool(config), lease_times=other)
        with pytest.raises(OutputInUse, match="taken over by another driver"):
            run(tasks, config, pool, lease_times=silent)
        assert {path for path, _ in digests(config.output)} == {tasks[0].video_id}


def test_what_dead_attempts_left_is_gone_after_a_run(tasks: list[VideoTask], config: WorkerConfig) -> None:
    run(tasks[:1], config, LocalPool(config))
    store = Store(config.output)
    for task in tasks:
        left = f"{safe_name(task.video_id)}-{attempt_name('20260102T030405-0123abcd', 1)}.parquet"
        store.put(f"masks/{left}", b"half")
        store.put(f"frames/{left}", b"half")
    hours_ago = time.time() - 7200
    for path in Path(config.output).glob("[mf]*/*20260102T030405*"):
        os.utime(path, (hours_ago, hours_ago))
    run(tasks, config, LocalPool(config))
    rows = tables.open(config.output, "videos").to_table().to_pylist()
    committed = {row[f"{table}_file"] for row in rows for table in ("masks", "frames")}
    assert {f"{table}/{entry.name}" for table in ("masks", "frames") for entry in store.list(table)} == committed


def test_a_commit_whose_files_are_gone_is_done_again_and_told(tasks: list[VideoTask], config: WorkerConfig) -> None:
    run(tasks, config, LocalPool(config))
    before, said = digests(config.output), list[str]()
    for path in Path(config.output).glob("masks/span-*"):
        path.unlink()
    assert {video_id for video_id, _ in digests(config.output)} == {"folder"}
    summary = run(tasks, config, LocalPool(config), tell=said.append)
    assert (summary.skipped, summary.complete) == (1, 1)
    assert digests(config.output) == before
    assert any("1 commits do not count" in line and "span-" in line for line in said)


def test_a_video_of_which_no_table_can_hold_a_value_is_its_own_failure(
    tasks: list[VideoTask], config: WorkerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container that claims 2^63 frames."""
    process = VideoWorker.process

    def boasting(self: VideoWorker, attempt: Attempt) -> VideoOutcome:
        outcome = process(self, attempt)
        claimed = {"frames_expected": 2**63} if attempt.task.video_id == "span" else {}
        return replace(outcome, video={**outcome.video, **claimed})

    monkeypatch.setattr(VideoWorker, "process", boasting)
    summary = run(tasks, config, LocalPool(config))
    assert (summary.complete, list(summary.failed)) == (1, ["span"])
    assert {video_id for video_id, _ in digests(config.output)} == {"folder"}


def test_it_stops_between_requests_when_it_is_asked_to(corpus: Corpus, config: WorkerConfig) -> None:
    asked = list[bool]()

    def stop() -> bool:
        asked.append(bool(Store(config.output).list("_commits")))
        return asked[-1]

    with pytest.raises(KeyboardInterrupt):
        run(corpus.tasks, config, LocalPool(config), stop=stop)
    assert 1 <= len(digests(config.output)) // 2 < 4
    with Lease(Store(config.output), "next") as lease:  # at once: it was given back
        assert lease.number == 2


class ScriptedPool:
    """One worker that says how far it is, and whose attempts end as the script says."""

    def __init__(self, *script: tuple[WorkerCounts, Failure | VideoOutcome]) -> None:
        self._script = list(script)
        self._running: Attempt | None = None
        self._counts = WorkerCounts()

    def __enter__(self) -> "ScriptedPool":
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def idle(self) -> int:
        return 0 if self._running else 1

    def submit(self, attempt: Attempt) -> None:
        self._running = attempt

    def waiting(self) -> list[Attempt]:
        return []

    def wait(self, timeout_s: float) -> list[Event]:
        if self._running is None:
            time.sleep(timeout_s)
            return []
        attempt, self._running = self._running, None
        self._counts, result = self._script.pop(0)
        return [Event(attempt=attempt, result=result)]

    def counts(self) -> WorkerCounts:
        return self._counts


class PatientPool(ScriptedPool):
    """Takes a second attempt that waits for the first; every second time nothing has ended."""

    def __init__(self, *script: tuple[WorkerCounts, Failure | VideoOutcome]) -> None:
        super().__init__(*script)
        self._next: Attempt | None = None
        self._ended = True

    def idle(self) -> int:
        return 0 if self._next else 1

    def submit(self, attempt: Attempt) -> None:
        if self._running is None:
            super().submit(attempt)
        else:
            self._next = attempt

    def waiting(self) -> list[Attempt]:
        return [self._next] if self._next else []

    def wait(self, timeout_s: float) -> list[Event]:
        self._ended = not self._ended
        if not self._ended:
            return []
        events = super().wait(timeout_s)
        self._running, self._next = self._next, None
        return events


class TestProgress:
    @pytest.mark.usefixtures("no_pauses")
    def test_a_video_that_waits_for_its_next_attempt_is_still_to_do(self, corpus: Corpus, config: WorkerConfig) -> None:
        """The span of 4 frames is lost after the first one, then after none; the last attempt does all."""
        lost = Failure(cause="Test", message="no", remedy=Remedy.LATER)
        pool = ScriptedPool(
            (WorkerCounts(frames_done=1, frames_begun=1, videos_begun=1), lost),
            (WorkerCounts(frames_done=1, frames_begun=1, videos_begun=1), lost),
            (WorkerCounts(frames_done=5, frames_begun=5, videos_begun=2), replace(lost, remedy=Remedy.NONE)),
        )
        seen: list[Progress] = []
        span = [task for task in corpus.tasks if task.video_id == "span"]
        run(span, config, pool, on_progress=seen.append)
        told = list(dict.fromkeys((progress.frames_done, progress.frames_total) for progress in seen))
        # While the pool has the video and says nothing of it, nothing is known of it.
        assert [pair for pair in told if pair[1] is not None] == [(0, 4), (1, 5), (5, 5)]
        assert {progress.videos_total for progress in seen} == {1}
        assert seen[-1].videos_failed == 1

    def test_a_video_that_waits_in_the_pool_is_still_to_do(self, corpus: Corpus, config: WorkerConfig) -> None:
        span = next(task for task in corpus.tasks if task.video_id == "span")
        begun = WorkerCounts(frames_done=4, frames_begun=4, videos_begun=1)
        end = Failure(cause="Test", message="no")
        pool = PatientPool((begun, end), (begun + begun, end), (begun + begun + begun, end))
        seen: list[Progress] = []
        run([replace(span, video_id=name) for name in "abc"], config, pool, on_progress=seen.append)
        # The one in hand does not count: this pool says nothing of it before it is over.
        assert [progress.frames_total for progress in seen] == [12, 8, 8, 8, 8, 8, 12]

    def test_it_ends_with_all_videos_and_frames(self, corpus: Corpus, config: WorkerConfig) -> None:
        seen: list[Progress] = []
        run(corpus.tasks + corpus.broken_tasks, config, LocalPool(config), on_progress=seen.append)
        first, last = seen[0], seen[-1]
        # The missing file is known before the first worker starts.
        assert (first.videos_total, first.videos_done, first.videos_failed, first.frames_done) == (7, 0, 1, 0)
        # Of six videos to do just the span tells its length: 4 frames.
        assert first.frames_total == 6 * 4
        assert (last.videos_total, last.videos_done, last.videos_failed) == (7, 4, 3)
        done = [progress.frames_done for progress in seen]
        # Failed attempts count too: the prompt beyond the end is found after the last of 8 frames.
        assert done == sorted(done) and done[-1] == last.frames_total == 29 + 8

    def test_videos_that_were_complete_are_not_counted(self, corpus: Corpus, config: WorkerConfig) -> None:
        run(corpus.tasks[:3], config, LocalPool(config))
        seen: list[Progress] = []
        run(corpus.tasks, config, LocalPool(config), on_progress=seen.append)
        assert {progress.videos_total for progress in seen} == {1}


class TestRecords:
    def test_a_run_records_its_configuration(self, tasks: list[VideoTask], config: WorkerConfig) -> None:
        summary = run(tasks, config, LocalPool(config))
        record = json.loads(Store(config.output).get(f"_runs/{summary.run_id}.json"))
        assert record["config"]["checkpoint_fingerprint"] == config.checkpoint_fingerprint
        assert record["config"]["segmenter"]["max_side"] == 864
        assert (record["videos"], record["run_id"]) == (2, summary.run_id)
        assert {"torch", "ray", "av", "pyarrow"} <= record["versions"].keys()

    def test_a_run_without_work_leaves_no_trace(self, tasks: list[VideoTask], config: WorkerConfig) -> None:
        run(tasks, config, LocalPool(config))
        store = Store(config.output)
        before = {folder: store.list(folder) for folder in ("", "_runs", "videos", "failures")}
        run(tasks, config, NoPool(config))
        assert {folder: store.list(folder) for folder in before} == before
        assert before["failures"] == []


class TestFailureRows:
    """Which frame, which worker, which machine."""

    @pytest.fixture
    def broken_weights(self, tmp_path: Path) -> WorkerConfig:
        """Weights that give scores which are no numbers."""
        network = load_network("untrained")
        with torch.no_grad():
            network.decoder.pred.bias.fill_(torch.nan)  # type: ignore[union-attr]
        path = tmp_path / "nan.safetensors"
        path.write_bytes(to_bytes(network))
        return config_for(tmp_path / "out", checkpoint=str(path), checkpoint_fingerprint=fingerprint(network))

    def test_the_frame_at_which_the_network_gave_up(self, tasks: list[VideoTask], broken_weights: WorkerConfig) -> None:
        summary = run(tasks, broken_weights, LocalPool(broken_weights))
        rows = {row["video_id"]: row for row in failures(broken_weights)}
        # The frame after the first prompt is the first prediction.
        assert {video_id: row["frame_index"] for video_id, row in rows.items()} == {"folder": 3, "span": 4}
        assert {row["cause"] for row in rows.values()} == {"SegmentationFailed"}
        assert summary.failed["span"].frame_index == 4
        assert "'span' (row 4): frame 4: " in rows["span"]["message"] and "not finite" in rows["span"]["message"]

    def test_the_machine_is_the_workers_and_none_when_planning(self, corpus: Corpus, config: WorkerConfig) -> None:
        run(corpus.broken_tasks, config, LocalPool(config))
        rows = {row["video_id"]: row for row in failures(config)}
        assert [(rows[v]["worker"], rows[v]["host"], rows[v]["attempt"]) for v in ("missing", "garbage", "beyond")] == [
            (None, None, 0),
            ("local", platform.node(), 1),
            ("local", platform.node(), 1),
        ]
        assert {row["frame_index"] for row in rows.values()} == {None}

    @pytest.mark.parametrize(
        ("error", "message"),
        [
            (ValueError("bad shape"), "bad shape"),
            (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
            (AssertionError(), "AssertionError()"),
            (ValueError("picture \udcff.png"), r"picture \udcff.png"),
        ],
        ids=["text", "errno", "without a word", "not UTF-8"],
    )
    def test_what_nobody_expected_is_told_in_full(
        self,
        tasks: list[VideoTask],
        config: WorkerConfig,
        monkeypatch: pytest.MonkeyPatch,
        error: Exception,
        message: str,
    ) -> None:
        monkeypatch.setattr(VideoWorker, "process", failing("span", error, 2))
        summary = run(tasks, config, LocalPool(config))
        assert summary.complete == 1
        for failure in failures(config):
            assert (failure["cause"], failure["message"]) == (type(error).__name__, message)


class TestNamesThatAreNotUtf8:
    """A file system keeps any bytes as a name."""

    @pytest.fixture
    def odd(self, tmp_path: Path) -> Corpus:
        """A corpus whose folder has one more picture under such a name."""
        corpus = write_corpus(tmp_path / "corpus")
        pictures = os.fsencode(tmp_path / "corpus" / "pictures")
        try:
            shutil.copyfile(os.path.join(pictures, b"00004.png"), os.path.join(pictures, b"9\xff.png"))
        except OSError:
            pytest.skip("this file system refuses such names")
        return corpus

    def test_they_do_not_end_the_planning(self, odd: Corpus, config: WorkerConfig) -> None:
        summary = run(odd.tasks, config, LocalPool(config))
        assert summary.complete + len(summary.failed) == 4
        assert summary.failed.keys() <= {"folder"}
        assert {video_id for video_id, _ in digests(config.output)} >= {"walk", "two/objects", "span"}

    def test_such_a_name_is_refused_and_written_as_text(self, odd: Corpus, config: WorkerConfig) -> None:
        summary = run([task for task in odd.tasks if task.video_id == "folder"], config, LocalPool(config))
        (failure,) = failures(config)
        assert failure["cause"] == "UnreadableVideo"
        assert r"a file name that is not UTF-8 ('9\udcff.png')" in failure["message"]
        assert summary.failed["folder"].message == failure["message"]

    def test_a_message_with_such_a_name_is_written(
        self, odd: Corpus, config: WorkerConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def process(*_arguments: object, **_options: object) -> None:
            raise ValueError("cannot read 9\udcff.png")

        monkeypatch.setattr("pipeline.run.worker.VideoWorker.process", process)
        run([task for task in odd.tasks if task.video_id == "folder"], config, LocalPool(config))
        assert failures(config)[0]["message"] == r"cannot read 9\udcff.png"


class TestRefusals:
    def test_a_folder_of_something_else(self, tasks: list[VideoTask], config: WorkerConfig, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "thesis.tex").write_text("")
        with pytest.raises(InvalidOutput, match=r"thesis\.tex"):
            run(tasks, config, NoPool(config))

    def test_a_checkpoint_that_is_gone(self, tasks: list[VideoTask], tmp_path: Path) -> None:
        config = config_for(tmp_path / "out", checkpoint=str(tmp_path / "gone.safetensors"))
        with pytest.raises(InvalidCheckpoint, match=r"gone\.safetensors"):
            run(tasks, config, LocalPool(config))
