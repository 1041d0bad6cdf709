"""One worker in a thread: a job in hand, another that waits for it."""

from pathlib import Path

import pytest

from pipeline.run.pool import LocalPool
from pipeline.run.scheduler import Job
from pipeline.run.worker import VideoOutcome
from pipeline.storage.store import Store
from tests.pipeline.corpus import FRAMES, config_for, write_corpus


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    return [Job(task=task, identity="i", number=1) for task in write_corpus(tmp_path / "corpus").tasks]


def wait(pool: LocalPool) -> str:
    """The video whose attempt is over next."""
    for _ in range(600):
        if events := pool.wait(0.1):
            (event,) = events
            assert isinstance(event.result, VideoOutcome)
            return event.job.task.video_id
    raise TimeoutError


def test_a_second_job_waits_and_follows(jobs: list[Job], tmp_path: Path) -> None:
    with LocalPool(config_for(tmp_path / "out")) as pool:
        assert pool.idle() == 2
        pool.submit(jobs[0], "a")
        assert (pool.idle(), pool.waiting()) == (1, [])
        pool.submit(jobs[1], "a")
        assert (pool.idle(), pool.waiting()) == (0, [jobs[1]])
        assert wait(pool) == jobs[0].task.video_id
        assert (pool.idle(), pool.waiting()) == (1, [])
        pool.submit(jobs[2], "a")
        assert [wait(pool), wait(pool)] == [job.task.video_id for job in jobs[1:3]]
        assert pool.idle() == 2
        assert pool.counts().frames_done == sum(len(FRAMES[job.task.video_id]) for job in jobs[:3])


def test_a_job_that_waits_is_not_begun_when_the_context_is_left(jobs: list[Job], tmp_path: Path) -> None:
    with LocalPool(config_for(tmp_path / "out")) as pool:
        for job in jobs[:2]:
            pool.submit(job, "a")
    assert pool.counts().videos_begun <= 1
    assert Store(str(tmp_path / "out")).list("masks") == []
