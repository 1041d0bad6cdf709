"""TensorBoard events: they are in OUTPUT whatever store it is, and a run that goes on hides what it does again."""

import sys
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from jobs.training.events import open_events
from jobs.training.validation import Score
from pipeline.storage.store import Store
from tests.jobs.training.reported import learned


def score(value: float) -> Score:
    return Score(J=value, F=value, by_video=(value,), sheet=np.full((40, 60, 3), 90, np.uint8))


def write(store: Store, *, begin: int, steps: int) -> None:
    with open_events(store, begin) as events:
        assert events is not None
        for step in range(begin + 1, begin + steps + 1):
            events.learned(learned(step))
        events.scored(begin + steps, score(0.5))
        events.save()


def read(folder: Path) -> Any:
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    accumulator.Reload()
    return accumulator


def test_losses_rate_scores_and_a_picture_are_there(tmp_path: Path) -> None:
    write(Store(str(tmp_path)), begin=0, steps=2)
    found = read(tmp_path / "events")
    for tag in ("loss/total", "loss/cross_entropy", "loss/jaccard", "loss/uncertainty", "learning_rate"):
        assert [event.step for event in found.Scalars(tag)] == [1, 2]
    for tag in ("validation/J_and_F", "validation/J", "validation/F"):
        assert [(event.step, event.value) for event in found.Scalars(tag)] == [(2, 0.5)]
    (picture,) = found.Images("validation/video")
    assert (picture.step, picture.height, picture.width) == (2, 40, 60)


def test_a_run_that_goes_on_hides_what_it_does_again(tmp_path: Path) -> None:
    write(Store(str(tmp_path)), begin=0, steps=5)
    write(Store(str(tmp_path)), begin=3, steps=3)
    found = read(tmp_path / "events")
    assert [event.step for event in found.Scalars("loss/total")] == [1, 2, 3, 4, 5, 6]


def test_a_remote_store_gets_the_files_with_every_save(tmp_path: Path) -> None:
    store = Store(f"memory://{uuid.uuid4().hex}")
    write(store, begin=0, steps=2)
    (file,) = store.list("events")
    (tmp_path / file.name).write_bytes(store.get(f"events/{file.name}"))
    assert [event.step for event in read(tmp_path).Scalars("loss/total")] == [1, 2]


def test_without_tensorboard_there_are_no_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with open_events(Store(str(tmp_path)), 0) as events:
        assert events is None
    assert list(tmp_path.iterdir()) == []
