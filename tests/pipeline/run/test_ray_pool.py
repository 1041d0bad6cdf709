"""The contract over Ray actors, and what only Ray can do: pin GPUs, replace what was killed."""

import logging
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest
import ray
import torch
from ray.exceptions import (
    ActorDiedError,
    NodeDiedError,
    ObjectLostError,
    OutOfDiskError,
    OwnerDiedError,
    RayActorError,
    RuntimeEnvSetupError,
    WorkerCrashedError,
)
from ray.exceptions import OutOfMemoryError as RayOutOfMemory

from model.segmenter import VideoSegmenter
from pipeline.errors import InvalidInput, PipelineError, Remedy, StoreUnavailable, WorkerLost
from pipeline.output import tables
from pipeline.run.attempt import Attempt, VideoOutcome
from pipeline.run.config import WorkerConfig
from pipeline.run.driver import run
from pipeline.run.failure import Failure
from pipeline.run.pool import Event, LocalPool, Pool
from pipeline.run.progress import Progress, WorkerCounts
from pipeline.run.ray_cluster import cluster_gpus
from pipeline.run.ray_pool import RayPool, _Actor
from pipeline.run.watch import Patience
from tests.pipeline.attempts import attempt_at
from tests.pipeline.corpus import HEIGHT, WIDTH, Corpus, config_for, digests, write_corpus
from tests.pipeline.media import moving_square, write_video
from tests.pipeline.pool_contract import PoolContract

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module", autouse=True)
def ray_with_fake_gpus() -> Iterator[None]:
    environment = {"RAY_BACKEND_LOG_LEVEL": "error", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    with pytest.MonkeyPatch.context() as patched:
        for name in ("RAY_ADDRESS", "RAY_JOB_ID"):
            patched.delenv(name, raising=False)
        for name, value in environment.items():
            patched.setenv(name, value)
        ray.init(
            address="local",
            num_cpus=4,
            num_gpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        yield
        ray.shutdown()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh actor comes at once, whatever befell the last one."""
    monkeypatch.setattr("pipeline.run.crew._PAUSE_S", 0.0)


class TestRayPoolOnFiles(PoolContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make_pool(cls) -> Callable[[WorkerConfig], Pool]:
        return lambda config: RayPool(config, workers=1, gpus_per_worker=0)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture
def config(tmp_path: Path) -> WorkerConfig:
    return config_for(tmp_path / "out")


@pytest.fixture
def expected(corpus: Corpus, tmp_path: Path) -> dict[tuple[str, str], str]:
    """Digests of an undisturbed run."""
    local = config_for(tmp_path / "local")
    run(corpus.tasks, local, LocalPool(local))
    return digests(local.output)


def ask(pool: RayPool, question: Callable[[Any], Any]) -> list[Any]:
    """The answer of every actor's process."""
    answers: list[Any] = ray.get([member._actor.__ray_call__.remote(question) for member in pool._crew.members])
    return answers


class TestPinning:
    def test_every_actor_has_its_own_gpu(
        self, corpus: Corpus, config: WorkerConfig, expected: dict[tuple[str, str], str]
    ) -> None:
        """With fake GPUs and an explicit `cpu`, so that the actors can run anywhere."""
        assert cluster_gpus() == 2
        pool, visible = RayPool(config, workers=2, gpus_per_worker=1), list[str]()

        def look(progress: Progress) -> None:
            if not visible:
                visible.extend(ask(pool, lambda _: os.environ["CUDA_VISIBLE_DEVICES"]))

        summary = run(corpus.tasks, config, pool, on_progress=look)
        assert sorted(visible) == ["0", "1"]
        assert summary.complete == 4 and digests(config.output) == expected

    @pytest.mark.skipif(torch.cuda.is_available(), reason="torch sees a GPU")
    def test_a_reserved_gpu_that_torch_does_not_see_ends_the_run(self, corpus: Corpus, config: WorkerConfig) -> None:
        auto = replace(config, device="auto")
        with pytest.raises(InvalidInput, match="torch sees none"):
            run(corpus.tasks, auto, RayPool(auto, workers=1))

    def test_more_gpus_than_there_are_are_refused_at_once(self, corpus: Corpus, config: WorkerConfig) -> None:
        with pytest.raises(InvalidInput, match=r"3 GPU a worker .* Ray finds 2 .*--gpus-per-worker 0"):
            run(corpus.tasks, config, RayPool(config, workers=1, gpus_per_worker=3))


class TestLosses:
    def test_a_killed_actor_is_replaced_and_the_tables_are_the_same(self, config: WorkerConfig, tmp_path: Path) -> None:
        corpus = write_corpus(tmp_path / "corpus")
        # Long enough to be met in the middle.
        write_video(tmp_path / "corpus" / "two.mp4", moving_square(80, HEIGHT, WIDTH))
        tasks = [task for task in corpus.tasks if task.video_id in ("two/objects", "folder")]
        pool, killed, frames_done = RayPool(config, workers=1, gpus_per_worker=0), list[int](), list[int]()

        def kill_once(progress: Progress) -> None:
            frames_done.append(progress.frames_done)
            if progress.frames_done >= 3 and not killed:
                killed.extend(ask(pool, lambda _: os.getpid()))
                os.kill(killed[0], signal.SIGKILL)

        summary = run(tasks, config, pool, on_progress=kill_once)
        assert len(killed) == 1
        assert (summary.complete, summary.failed) == (2, {})
        (failure,) = tables.open(config.output, "failures").to_table().to_pylist()
        assert (failure["cause"], failure["retryable"], failure["attempt"]) == ("WorkerLost", True, 1)
        assert failure["worker"] == "actor-1" and repr(failure["video_id"]) in failure["message"]
        assert frames_done == sorted(frames_done) and len(set(frames_done)) > 2
        local = config_for(tmp_path / "local")
        run(tasks, local, LocalPool(local))
        assert digests(config.output) == digests(local.output)

    def test_actors_that_keep_dying_while_they_start_end_the_run(
        self, corpus: Corpus, config: WorkerConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pipeline.run.crew._FAILED_STARTS", 2)
        pool = RayPool(replace(config, output=Deadly()), workers=1, gpus_per_worker=0)  # type: ignore[arg-type]
        with pytest.raises(WorkerLost, match="no worker can start, 1 of 1 were tried again and again"):
            run(corpus.tasks, config, pool)


class FlakyActor(_Actor):
    """Its worker cannot start before somebody tried it: the store does not answer the first time."""

    def setup(self) -> PipelineError | None:
        tried = Path(self._worker.config.output.removeprefix("file://")).with_name("tried")
        if not tried.exists():
            tried.touch()
            return StoreUnavailable("the weights did not come")
        return super().setup()


class BrokenActor(_Actor):
    """Its worker cannot start, for a reason that nobody expected."""

    def setup(self) -> PipelineError | None:
        self._worker.setup = explode  # type: ignore[method-assign]
        return super().setup()


def explode() -> None:
    raise ZeroDivisionError("in the driver of the GPU")


class TestStarts:
    def test_a_start_that_the_store_failed_is_tried_by_a_fresh_actor(
        self, corpus: Corpus, config: WorkerConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pipeline.run.ray_pool._Actor", FlakyActor)
        tasks = [task for task in corpus.tasks if task.video_id == "span"]
        pool, names = RayPool(config, workers=1, gpus_per_worker=0), set[str]()
        summary = run(tasks, config, pool, on_progress=lambda _: names.update(m.name for m in pool._crew.members))
        assert (summary.complete, summary.failed) == (1, {})
        assert names == {"actor-1", "actor-2"}
        assert Path(config.output).with_name("tried").exists()

    def test_what_nobody_expected_is_tried_again_and_then_told(
        self, corpus: Corpus, config: WorkerConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pipeline.run.crew._FAILED_STARTS", 2)
        monkeypatch.setattr("pipeline.run.ray_pool._Actor", BrokenActor)
        said = r"no worker can start, 1 of 1 .* again: actor-2 on .* cannot start: ZeroDivisionError: in the driver"
        with pytest.raises(WorkerLost, match=said):
            run(corpus.tasks, config, RayPool(config, workers=1, gpus_per_worker=0))


class UnfitActor(_Actor):
    """The first one's process is broken: all that it is asked fails at once."""

    def process(self, attempt: Attempt) -> tuple[VideoOutcome | Failure, WorkerCounts]:
        if self._name == "actor-1":
            self._worker.process = broken  # type: ignore[method-assign]
        return super().process(attempt)


def broken(attempt: Attempt) -> VideoOutcome:
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


class StuckActor(_Actor):
    """The first one's network never comes back from the fourth frame."""

    def __init__(self, config: WorkerConfig, name: str) -> None:
        super().__init__(config, name)
        if name == "actor-1":
            submit, left = VideoSegmenter.submit, [None] * 3

            def stuck(self: VideoSegmenter, *arguments: Any) -> None:
                left.pop() if left else time.sleep(1e6)
                submit(self, *arguments)

            VideoSegmenter.submit = stuck  # type: ignore[method-assign]


class TestUnfitActors:
    @pytest.mark.slow
    def test_one_of_four_that_fails_everything_is_replaced_and_costs_no_video(
        self, corpus: Corpus, config: WorkerConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pipeline.run.ray_pool._Actor", UnfitActor)
        (task,) = (task for task in corpus.tasks if task.video_id == "span")
        tasks = [replace(task, video_id=f"v{n}") for n in range(200)]
        pool, names = RayPool(config, workers=4, gpus_per_worker=0), set[str]()
        summary = run(tasks, config, pool, on_progress=lambda _: names.update(m.name for m in pool._crew.members))
        assert (summary.complete, summary.failed) == (200, {})
        rows = tables.open(config.output, "failures").to_table().to_pylist()
        assert {(row["worker"], row["cause"]) for row in rows} == {("actor-1", "RuntimeError")}
        assert len(rows) <= 3
        assert names == {f"actor-{n}" for n in range(1, 6)}

    @pytest.mark.slow
    def test_a_stuck_one_is_ended_and_its_video_done_by_another(
        self, corpus: Corpus, config: WorkerConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pipeline.run.ray_pool._Actor", StuckActor)
        config = replace(config, patience=Patience(least_s=3.0))
        tasks = [task for task in corpus.tasks if task.video_id == "walk"]
        summary = run(tasks, config, RayPool(config, workers=1, gpus_per_worker=0))
        assert (summary.complete, summary.failed) == (1, {})
        (row,) = tables.open(config.output, "failures").to_table().to_pylist()
        assert (row["cause"], row["worker"], row["retryable"]) == ("Stalled", "actor-1", True)
        assert re.search(
            r"video 'walk' \(row 1\): stopped, because actor-1 showed no new frame in \d+ s", row["message"]
        )

    @pytest.mark.slow
    def test_one_that_answers_nothing_is_ended(self, config: WorkerConfig, tmp_path: Path) -> None:
        """Its process is frozen, as by a decoder that never lets go of the interpreter."""
        corpus = write_corpus(tmp_path / "corpus")
        write_video(tmp_path / "corpus" / "two.mp4", moving_square(80, HEIGHT, WIDTH))
        config = replace(config, patience=Patience(least_s=5.0))
        tasks = [task for task in corpus.tasks if task.video_id == "two/objects"]
        pool, frozen = RayPool(config, workers=1, gpus_per_worker=0), list[int]()

        def freeze_once(progress: Progress) -> None:
            if progress.frames_done >= 3 and not frozen:
                frozen.extend(ask(pool, lambda _: os.getpid()))
                os.kill(frozen[0], signal.SIGSTOP)

        summary = run(tasks, config, pool, on_progress=freeze_once)
        os.kill(frozen[0], signal.SIGKILL) if is_there(frozen[0]) else None
        assert (summary.complete, summary.failed) == (1, {})
        (row,) = tables.open(config.output, "failures").to_table().to_pylist()
        assert row["cause"] == "Stalled" and "showed no answer in" in row["message"]


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_what_no_node_can_hold_is_told(
    config: WorkerConfig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On a cluster, where nodes might still come; the run goes on waiting."""
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    monkeypatch.setattr("pipeline.run.ray_pool._UNPLACED_S", 1.0)
    with RayPool(config, workers=4, gpus_per_worker=3) as pool:
        for _ in range(30):
            assert pool.wait(0.1) == []
    (said,) = (record.getMessage() for record in caplog.records)
    assert "4 workers have not started" in said and "1 CPU and 3 GPU" in said
    assert "1 with 4 CPU and 2 GPU" in said and "lower --gpus-per-worker" in said


LOST = ActorDiedError()
DONE = Failure(cause="Test", message="the end of an attempt")


class Member:
    """Stands for an actor: each of its calls ends at once, as the script of all members says."""

    script: ClassVar[list[Exception | WorkerCounts]] = []
    """Of each set-up and then each attempt in turn: what it raises, or how far the actor is."""

    def __init__(self, _config: WorkerConfig, name: str) -> None:
        self.name = name
        self.attempt: Attempt | None = None
        self.next: Attempt | None = None
        self.pending: Any = ray.put(None)
        self.began_s = 0.0
        self.counts = WorkerCounts()

    @property
    def idle(self) -> bool:
        return self.pending is None

    def submit(self, attempt: Attempt) -> None:
        self.attempt, self.pending = attempt, ray.put(None)

    def prepare(self, attempt: Attempt) -> None:
        self.next = attempt

    def collect(self) -> Event | None:
        result = self.script.pop(0)
        if isinstance(result, Exception):
            raise result
        attempt, self.attempt, self.pending, self.counts = self.attempt, None, None, result
        return None if attempt is None else Event(attempt=attempt, result=DONE)

    def poll_progress(self) -> None:
        pass

    def overdue(self, now_s: float) -> str | None:
        return None

    def stop(self) -> None:
        pass

    def kill(self) -> None:
        pass


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> list[Exception | WorkerCounts]:
    """What the actors of a `RayPool` do, with stand-ins for them."""
    monkeypatch.setattr("pipeline.run.ray_pool._Member", Member)
    monkeypatch.setattr(Member, "script", [])
    return Member.script


class TestAttemptsThatWait:
    """With stand-ins for the actors: a busy one opens the video that comes next, and whoever is free takes it."""

    def attempts(self, corpus: Corpus) -> list[Attempt]:
        return [attempt_at(task) for task in corpus.tasks]

    def pool(self, config: WorkerConfig, script: list[Exception | WorkerCounts], workers: int) -> RayPool:
        script += [WorkerCounts()] * workers  # their set-ups
        return RayPool(config, workers=workers, gpus_per_worker=0)

    def wait(self, pool: RayPool) -> list[Attempt]:
        return [event.attempt for event in pool.wait(0.1)]

    def test_one_attempt_waits_for_every_busy_actor(
        self, corpus: Corpus, config: WorkerConfig, script: list[Exception | WorkerCounts]
    ) -> None:
        one, two, *_ = self.attempts(corpus)
        with self.pool(config, script, workers=1) as pool:
            assert pool.idle() == 0  # not set up
            assert self.wait(pool) == [] and pool.idle() == 1
            pool.submit(one)
            assert (pool.idle(), pool.waiting()) == (1, [])
            pool.submit(two)
            assert (pool.idle(), pool.waiting()) == (0, [two])
            assert pool._crew.members[0].next is two
            script += [WorkerCounts()] * 2
            assert self.wait(pool) == [one]
            assert (pool.idle(), pool.waiting()) == (1, [])
            assert self.wait(pool) == [two]

    def test_each_actor_gets_what_it_has_opened(
        self, corpus: Corpus, config: WorkerConfig, script: list[Exception | WorkerCounts]
    ) -> None:
        attempts = self.attempts(corpus)
        with self.pool(config, script, workers=2) as pool:
            self.wait(pool)
            for attempt in attempts:
                pool.submit(attempt)
            opened = {member.name: member.next for member in pool._crew.members}
            assert list(opened.values()) == attempts[2:]
            pool._crew._waiting.reverse()  # not by the order in which they wait
            script += [WorkerCounts()] * 2
            assert len(self.wait(pool)) == 2
            assert {member.name: member.attempt for member in pool._crew.members} == opened

    def test_what_a_lost_actor_had_opened_goes_to_the_first_that_is_free(
        self,
        corpus: Corpus,
        config: WorkerConfig,
        script: list[Exception | WorkerCounts],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        class TheFirstIsLost(Member):
            def collect(self) -> Event | None:
                self.script.append(LOST if self.attempt and self.name == "actor-1" else WorkerCounts())
                return super().collect()

        monkeypatch.setattr("pipeline.run.ray_pool._Member", TheFirstIsLost)
        one, two, three, _ = self.attempts(corpus)
        with RayPool(config, workers=2, gpus_per_worker=0) as pool:
            self.wait(pool)
            for attempt in (one, two, three):
                pool.submit(attempt)
            assert pool._crew.members[0].next is three
            causes = {event.attempt.task.video_id: cast(Failure, event.result).cause for event in pool.wait(0.1)}
            assert causes == {one.task.video_id: "WorkerLost", two.task.video_id: "Test"}
            assert [(member.name, member.attempt) for member in pool._crew.members] == [
                ("actor-3", None),
                ("actor-2", three),
            ]
            assert pool.waiting() == []


class TestLossesInTurn:
    """With stand-ins for the actors: what the driver makes of a long run of losses."""

    @pytest.fixture
    def video(self, corpus: Corpus) -> Attempt:
        return attempt_at(corpus.tasks[0])

    def pool(self, config: WorkerConfig) -> RayPool:
        return RayPool(config, workers=1, gpus_per_worker=0)

    def attempt(self, pool: RayPool, video: Attempt) -> Failure:
        """Wait for a worker, give it the video, wait for its end."""
        while not pool.idle():
            assert pool.wait(0.1) == []
        pool.submit(video)
        (event,) = pool.wait(0.1)
        assert isinstance(event.result, Failure) and event.attempt is video
        return event.result

    def test_losses_in_set_up_between_successes_do_not_end_a_run(
        self, config: WorkerConfig, script: list[Exception | WorkerCounts], video: Attempt
    ) -> None:
        lost_in_setup: list[Exception] = [LOST, StoreUnavailable("no answer")]
        for _ in range(3):
            script += [*lost_in_setup, WorkerCounts(), WorkerCounts(), LOST]
        with self.pool(config) as pool:
            for _ in range(3):
                assert self.attempt(pool, video) == DONE
                assert self.attempt(pool, video).cause == "WorkerLost"
        assert script == []

    @pytest.mark.parametrize(
        "error", [LOST, StoreUnavailable("no answer"), WorkerLost("a bug")], ids=["dead", "store", "bug"]
    )
    def test_three_in_a_row_do(
        self, config: WorkerConfig, script: list[Exception | WorkerCounts], video: Attempt, error: Exception
    ) -> None:
        script += [LOST, WorkerCounts(), LOST, error, error, error]
        with self.pool(config) as pool:
            assert self.attempt(pool, video).cause == "WorkerLost"
            with pytest.raises(WorkerLost, match=f"no worker can start, .* again: {re.escape(str(error))}") as raised:
                while True:
                    pool.wait(0.1)
        assert raised.value.__cause__ is error
        assert script == []

    def test_a_place_where_no_actor_starts_does_not_end_a_run_that_goes_on(
        self,
        config: WorkerConfig,
        script: list[Exception | WorkerCounts],
        video: Attempt,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        class OnlyTheFirst(Member):
            def collect(self) -> Event | None:
                self.script.append(WorkerCounts() if self.name == "actor-1" else LOST)
                return super().collect()

        monkeypatch.setattr("pipeline.run.ray_pool._Member", OnlyTheFirst)
        with RayPool(config, workers=2, gpus_per_worker=0) as pool:
            for _ in range(5):
                assert self.attempt(pool, video) == DONE
            assert pool._started > 5
        assert script == []

    def test_after_a_failed_start_the_next_one_waits(
        self, config: WorkerConfig, script: list[Exception | WorkerCounts], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now_s = 100.0
        monkeypatch.setattr("pipeline.run.crew._PAUSE_S", 1.0)
        monkeypatch.setattr(
            "pipeline.run.ray_pool.time", SimpleNamespace(monotonic=lambda: now_s, sleep=lambda _: None)
        )
        script += [LOST, LOST, WorkerCounts()]
        with self.pool(config) as pool:
            for pause_s, left in ((1.0, 2), (2.0, 1)):
                pool.wait(0.1)
                assert len(script) == left
                now_s += 0.99 * pause_s
                pool.wait(0.1)
                assert len(script) == left and not pool.idle()
                now_s += 0.01 * pause_s
            pool.wait(0.1)
            assert script == [] and pool.idle() == 1

    def test_after_a_lack_of_memory_the_actor_is_a_fresh_one(
        self,
        config: WorkerConfig,
        script: list[Exception | WorkerCounts],
        video: Attempt,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        lack = Failure(cause="OutOfMemory", message="no memory", remedy=Remedy.SMALLER)
        monkeypatch.setattr("tests.pipeline.run.test_ray_pool.DONE", lack)
        done = WorkerCounts(frames_done=3, frames_begun=3, videos_begun=1)
        script += [WorkerCounts(), done, WorkerCounts(), done]
        with self.pool(config) as pool:
            assert self.attempt(pool, video) == lack
            assert self.attempt(pool, video) == lack
            assert [member.name for member in pool._crew.members] == ["actor-3"]
            assert pool.counts() == done + done

    @pytest.mark.parametrize(
        ("error", "remedy"),
        [
            (ActorDiedError(), Remedy.LATER),
            (RayActorError(preempted=True), Remedy.ANEW),
            (RayOutOfMemory("the node ran out of memory"), Remedy.ROOM),
            (NodeDiedError("x"), Remedy.LATER),
            (WorkerCrashedError(), Remedy.LATER),
            (ObjectLostError("00" * 28, None, ""), Remedy.LATER),
            (OwnerDiedError("00" * 28, None, ""), Remedy.LATER),
            (OutOfDiskError("x"), Remedy.ELSEWHERE),
            (RuntimeEnvSetupError("no wheel"), Remedy.ELSEWHERE),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_why_an_actor_was_lost_says_what_may_help(
        self,
        config: WorkerConfig,
        script: list[Exception | WorkerCounts],
        video: Attempt,
        error: Exception,
        remedy: Remedy,
    ) -> None:
        script += [WorkerCounts(), error]
        with self.pool(config) as pool:
            failure = self.attempt(pool, video)
        assert failure.remedy is remedy
        assert repr(video.task.video_id) in failure.message and failure.worker == "actor-1"

    def test_wrong_input_ends_a_run_at_once(self, config: WorkerConfig, script: list[Exception | WorkerCounts]) -> None:
        script += [InvalidInput("no GPU")]
        with self.pool(config) as pool, pytest.raises(InvalidInput, match="no GPU"):
            pool.wait(0.1)

    def test_what_a_lost_actor_did_stays_counted_and_its_video_is_begun_again(
        self, config: WorkerConfig, script: list[Exception | WorkerCounts], video: Attempt
    ) -> None:
        """It had ended one video of 5 frames and was in the second, of 12, when it was lost."""
        script += [WorkerCounts(), WorkerCounts(frames_done=5, frames_begun=5, videos_begun=1), LOST, WorkerCounts()]
        with self.pool(config) as pool:
            self.attempt(pool, video)
            pool._crew.members[0].counts = WorkerCounts(frames_done=8, frames_begun=17, videos_begun=2)
            assert pool.counts() == WorkerCounts(frames_done=8, frames_begun=17, videos_begun=2)
            assert self.attempt(pool, video).cause == "WorkerLost"
            assert pool.counts() == WorkerCounts(frames_done=8, frames_begun=8, videos_begun=1)
            pool.wait(0.1)
            pool._crew.members[0].counts = WorkerCounts(frames_done=2, frames_begun=12, videos_begun=1)
            assert pool.counts() == WorkerCounts(frames_done=10, frames_begun=20, videos_begun=2)

    def test_an_actor_that_is_lost_before_its_first_video_counts_for_nothing(
        self, config: WorkerConfig, script: list[Exception | WorkerCounts], video: Attempt
    ) -> None:
        script += [LOST, WorkerCounts(), LOST]
        with self.pool(config) as pool:
            self.attempt(pool, video)
            assert pool.counts() == WorkerCounts()


class Deadly:
    """Ends the process that unpickles it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (1,)
