"""Starting a training, on one worker or on several."""

import torch

from jobs.training.course import Course
from jobs.training.ray_train import learn_together
from jobs.training.reports import Reporter
from jobs.training.session import Team, learn
from model.network import AFBURR


def train(course: Course, network: AFBURR, reporter: Reporter, *, workers: int) -> None:
    """Train, or go on; on several workers through Ray Train. Raises as `learn` and `learn_together`."""
    if workers > 1:
        learn_together(course, network, reporter, workers=workers)
    else:
        learn(course, network, reporter, Team(device=best_device()))


def best_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
