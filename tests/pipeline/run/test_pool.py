"""One worker in a thread: an attempt in hand, another that waits for it."""

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model.segmenter import VideoSegmenter
from pipeline.errors import Remedy
from pipeline.run.attempt import Attempt, VideoOutcome
from pipeline.run.failure import Failure
from pipeline.run.pool import Event, LocalPool
from pipeline.run.watch import Patience
from pipeline.run.worker import VideoWorker
from pipeline.storage.store import Store
from tests.pipeline.attempts import attempt_at
from tests.pipeline.corpus import FRAMES, config_for, write_corpus


@pytest.fixture
def attempts(tmp_path: Path) -> list[Attempt]:
    return [attempt_at(task) for task in write_corpus(tmp_path / "corpus").tasks]


def wait(pool: LocalPool) -> str:
    """The video whose attempt is over next."""
    for _ in range(600):
        if events := pool.wait(0.1):
            (event,) = events
            assert isinstance(event.result, VideoOutcome)
            return event.attempt.task.video_id
    raise TimeoutError


def test_a_second_attempt_waits_and_follows(attempts: list[Attempt], tmp_path: Path) -> None:
    with LocalPool(config_for(tmp_path / "out")) as pool:
        assert pool.idle() == 2
        pool.submit(attempts[0])
        assert (pool.idle(), pool.waiting()) == (1, [])
        pool.submit(attempts[1])
        assert (pool.idle(), pool.waiting()) == (0, [attempts[1]])
        assert wait(pool) == attempts[0].task.video_id
        assert (pool.idle(), pool.waiting()) == (1, [])
        pool.submit(attempts[2])
        assert [wait(pool), wait(pool)] == [attempt.task.video_id for attempt in attempts[1:3]]
        assert pool.idle() == 2
        assert pool.counts().frames_done == sum(len(FRAMES[attempt.task.video_id]) for attempt in attempts[:3])


def test_an_attempt_that_waits_is_not_begun_when_the_context_is_left(attempts: list[Attempt], tmp_path: Path) -> None:
    with LocalPool(config_for(tmp_path / "out")) as pool:
        for attempt in attempts[:2]:
            pool.submit(attempt)
    assert pool.counts().videos_begun <= 1
    assert Store(str(tmp_path / "out")).list("masks") == []


class TestAnAttemptThatMustNotGoBack:
    def test_a_fresh_worker_makes_it(self, attempts: list[Attempt], tmp_path: Path) -> None:
        with LocalPool(config_for(tmp_path / "out")) as pool:
            pool.submit(attempts[0])
            assert wait(pool) == attempts[0].task.video_id
            before = pool._worker._worker
            pool.submit(replace(attempts[1], not_on="local"))
            assert wait(pool) == attempts[1].task.video_id
            assert pool._worker.name == "local-2" and pool._worker._worker is not before
            assert pool.counts().frames_done == sum(len(FRAMES[a.task.video_id]) for a in attempts[:2])

    def test_where_none_starts_that_is_the_failure_and_the_next_one_tries_again(
        self, attempts: list[Attempt], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with LocalPool(config_for(tmp_path / "out")) as pool:
            with monkeypatch.context() as patched:
                patched.setattr(VideoWorker, "setup", no_memory)
                pool.submit(replace(attempts[0], not_on="local"))
                (event,) = pool.wait(30.0)
            assert isinstance(event.result, Failure)
            assert (event.result.cause, event.result.remedy) == ("RuntimeError", Remedy.ELSEWHERE)
            pool.submit(attempts[1])
            assert wait(pool) == attempts[1].task.video_id


def no_memory(_worker: VideoWorker) -> None:
    raise RuntimeError("no memory")


class TestAStuckThread:
    def test_it_is_left_behind_and_others_go_on(
        self, attempts: list[Attempt], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What it writes when it comes back counts for nothing."""
        submit, free, stuck = VideoSegmenter.submit, threading.Event(), list[threading.Thread]()

        def sticky(self: VideoSegmenter, *arguments: Any) -> None:
            if not stuck:
                stuck.append(threading.current_thread())
                free.wait()
            submit(self, *arguments)

        monkeypatch.setattr(VideoSegmenter, "submit", sticky)
        config = config_for(tmp_path / "out", patience=Patience(opening_s=3.0))
        with LocalPool(config) as pool:
            for attempt in attempts[:2]:
                pool.submit(attempt)
            events = list[Event]()
            while len(events) < 2:
                events += pool.wait(0.5)
            assert [event.attempt for event in events] == attempts[:2]
            failure = events[0].result
            assert isinstance(failure, Failure)
            assert (failure.cause, failure.remedy, failure.worker) == ("Stalled", Remedy.ELSEWHERE, "local")
            assert f"{attempts[0].task.name}: stopped, because local showed not one frame in" in failure.message
            assert isinstance(events[1].result, VideoOutcome)
            free.set()
            stuck[0].join(30)
            assert not stuck[0].is_alive() and pool.wait(0.1) == []
            pool.submit(replace(attempts[0], not_on="local", name="b"))
            assert wait(pool) == attempts[0].task.video_id

    def test_it_does_not_keep_the_process(self, tmp_path: Path) -> None:
        """Also where the video that comes next gets stuck while it is opened."""
        program = f"""
import time
from dataclasses import replace
from pathlib import Path
from pipeline.run import prefetch
from pipeline.run.driver import run
from pipeline.run.pool import Event, LocalPool
from pipeline.run.watch import Patience
from tests.pipeline.corpus import config_for, write_corpus

load, stuck = prefetch.load_prompts, []
def sticky(task, *arguments, **options):
    if task.video_id != "walk":
        time.sleep(1e6)
    return load(task, *arguments, **options)
prefetch.load_prompts = sticky
corpus = write_corpus(Path({str(tmp_path)!r}))
config = config_for({str(tmp_path / "out")!r}, patience=Patience(opening_s=4.0))
tasks = [replace(task, num_frames=n) for n, task in zip((9, 5), corpus.tasks)]
summary = run(tasks, config, LocalPool(config))
print(summary.complete, [failure.cause for failure in summary.failed.values()])
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
        assert (done.stdout, done.returncode) == ("1 ['Stalled']\n", 0), done.stderr
