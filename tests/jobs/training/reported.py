"""What a training tells of itself, made up."""

import numpy as np

from jobs.training.reports import Learned
from jobs.training.validation import Score
from model.training import Losses

SCORE = Score(J=0.4, F=0.6, by_video=(0.5,), sheet=np.zeros((8, 8, 3), np.uint8))


def losses(total: float) -> Losses:
    return Losses(total=total, cross_entropy=0.5, jaccard=0.25, uncertainty=0.75)


def learned(step: int, *, steps: int = 120) -> Learned:
    return Learned(
        step=step, steps=steps, losses=losses(9.0), recent=losses(step / 100), learning_rate=1e-4, seconds_per_step=2.0
    )
