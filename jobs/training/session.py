"""A training from its course to its checkpoints, as the only worker or as one of several."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from jobs.training.course import Course
from jobs.training.events import open_events
from jobs.training.keeper import Keeper, restore
from jobs.training.reports import Reporter
from model.clip import Clip
from model.network import AFBURR
from model.runtime import keep_memory
from model.training import Trainer, fit
from pipeline.storage.store import Store

_NO_EVENTS = "no TensorBoard events: they need the extra, pip install 'vos-batch[train]'"


@dataclass(frozen=True, kw_only=True)
class Team:
    """The workers that learn together, and which of them this is."""

    device: torch.device
    rank: int = 0
    size: int = 1
    reduce: Callable[[Sequence[Tensor]], None] | None = None
    """Adds tensors up over all workers, in place."""


def learn(course: Course, network: AFBURR, reporter: Reporter, team: Team) -> None:
    """Train, or go on where the last save is. The first worker validates, saves and reports.

    Raises:
        InvalidInput: the material does not suffice.
    """
    keep_memory()
    torch.set_num_threads(course.torch_threads)
    curriculum = course.curriculum()
    network = network.to(team.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    trainer = Trainer(network, course.config, team.reduce)
    draw = partial(curriculum.draw, rank=team.rank, workers=team.size)
    if team.rank == 0:
        _lead(course, trainer, draw, reporter)
    else:
        restore(Store(course.output), trainer)
        fit(trainer, draw)


def _lead(course: Course, trainer: Trainer, draw: partial[list[Clip]], reporter: Reporter) -> None:
    store, validation = Store(course.output), course.validation()
    history = restore(store, trainer)
    if trainer.step_number:
        reporter.note(f"going on from step {trainer.step_number}")
    with open_events(store, trainer.step_number) as events:
        if validation is None and course.if_not_validated:
            reporter.note(course.if_not_validated)
        if events is None:
            reporter.note(_NO_EVENTS)
        keeper = Keeper(course, trainer, history, store=store, validation=validation, events=events, reporter=reporter)
        fit(trainer, draw, keeper.on_step)
