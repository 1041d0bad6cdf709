"""A training whose process ends at a clip."""

import numpy as np
import pytest

from jobs.training import curriculum
from jobs.training.compose import Composition, draw_clip
from model.clip import Clip


class Killed(BaseException):
    """Stands for the end of the process."""


def kill_at_clip(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Counted from 0."""
    left = iter(range(number))

    def draw(rng: np.random.Generator, composition: Composition) -> Clip:
        if next(left, None) is None:
            raise Killed
        return draw_clip(rng, composition)

    monkeypatch.setattr(curriculum, "draw_clip", draw)
