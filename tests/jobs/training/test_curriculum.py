"""Clips of a step: they follow from the step alone, and workers share them without a gap or a repeat."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.training.compose import Composition
from jobs.training.curriculum import STAGES, Curriculum, Stage
from jobs.training.sources import MovedStills
from model.clip import Clip
from tests.jobs.material import still


def curriculum(*, batch: int = 3, steps: int = 100) -> Curriculum:
    stills = [still(seed) for seed in range(2)]
    composition = Composition(sources=[MovedStills(stills)], shares=[1.0], cutouts=stills, frames=2, side=32)
    return Curriculum(composition=composition, steps=steps, batch=batch, max_speed=2.0, last_frames=4)


def test_speed_grows_linearly_and_the_last_quarter_has_longer_clips() -> None:
    found = [curriculum().at(step) for step in (0, 50, 74, 75, 99)]
    assert [one.speed for one in found] == pytest.approx([1.0, 1.5, 1.74, 1.75, 1.99])
    assert [one.frames for one in found] == [2, 2, 2, 4, 4]


@given(steps=st.integers(1, 3000), step=st.integers(0, 2999))
def test_the_speed_never_leaves_its_bounds(steps: int, step: int) -> None:
    assert 1 <= curriculum(steps=steps).at(min(step, steps - 1)).speed < 2


def drawn(step: int, *, rank: int = 0, workers: int = 1) -> list[Clip]:
    return curriculum().draw(step, random.Random(f"7:{step}"), rank=rank, workers=workers)


def same(one: Clip, other: Clip) -> bool:
    return np.array_equal(one.frames, other.frames) and np.array_equal(one.labels, other.labels)


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
def test_workers_share_the_same_clips(workers: int) -> None:
    whole = drawn(5)
    shares = [drawn(5, rank=rank, workers=workers) for rank in range(workers)]
    assert sum(map(len, shares)) == len(whole) == 3
    assert all(
        same(clip, whole[rank + workers * n]) for rank, share in enumerate(shares) for n, clip in enumerate(share)
    )


def test_the_step_decides_over_the_length_of_the_clips() -> None:
    assert [len(clip.frames) for clip in drawn(10)] == [2, 2, 2]
    assert {len(clip.frames) for clip in drawn(90)} == {4}


def test_pretraining_knows_no_video() -> None:
    assert STAGES[Stage.PRETRAIN].video_share == 0 < STAGES[Stage.VIDEO].video_share
    assert STAGES[Stage.PRETRAIN].generated > STAGES[Stage.VIDEO].generated
