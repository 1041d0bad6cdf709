"""One worker in a thread: an attempt in hand, another that waits for it."""

from pathlib import Path

import pytest

from pipeline.run.attempt import Attempt, VideoOutcome
from pipeline.run.pool import LocalPool
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
