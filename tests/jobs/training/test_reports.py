"""The log of a training: what has a line, and what a run that goes on keeps of it."""

import json

import pytest

from jobs.training.reports import Log
from pipeline.storage.store import Store
from tests.jobs.training.reported import SCORE, learned, losses


@pytest.fixture
def store(tmp_path: object) -> Store:
    return Store(str(tmp_path))


def lines(store: Store) -> list[dict[str, float]]:
    return [json.loads(line) for line in store.get("log.jsonl").decode().splitlines()]


def test_every_fiftieth_step_and_the_last_have_a_line(store: Store) -> None:
    log = Log(store, 0)
    for step in range(1, 121):
        log.learned(learned(step))
    log.save()
    assert [(line["step"], line["total"]) for line in lines(store)] == [(50, 0.5), (100, 1.0), (120, 1.2)]
    assert lines(store)[0] == {"step": 50, **vars(losses(0.5)), "seconds_per_step": 2.0}


def test_a_validation_has_a_line(store: Store) -> None:
    log = Log(store, 0)
    log.scored(7, SCORE)
    log.save()
    assert lines(store) == [{"step": 7, "J_and_F": 0.5, "J": 0.4, "F": 0.6}]


def test_what_is_done_again_is_logged_again(store: Store) -> None:
    earlier = Log(store, 0)
    for step in (50, 100):
        earlier.learned(learned(step))
        earlier.scored(step, SCORE)
    earlier.save()
    resumed = Log(store, 60)
    resumed.scored(100, SCORE)
    resumed.save()
    assert [line["step"] for line in lines(store)] == [50, 50, 100]


def test_nothing_is_written_before_it_is_saved(store: Store) -> None:
    Log(store, 0).scored(7, SCORE)
    assert store.list() == []
