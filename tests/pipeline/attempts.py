"""Attempts without a scheduler."""

from pipeline.input.manifest import VideoTask
from pipeline.run.attempt import Attempt, Work


def attempt_at(task: VideoTask, name: str = "a", *, identity: str = "i", smaller_blocks: bool = False) -> Attempt:
    """The first attempt at a video; its name becomes part of the names of its files."""
    work = Work(task=task, identity=identity, cost=1.0)
    return Attempt(work=work, number=1, name=name, smaller_blocks=smaller_blocks)
