"""What the clips of a step are made of: the stages of a training, and how clips get harder from step to step."""

import random
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from jobs.training.compose import Composition, draw_clip
from model.clip import Clip

_LONG_FROM = 0.75
"""Share of the steps after which clips have their last length."""


class Stage(StrEnum):
    """The two halves of the paper's training (section 4)."""

    PRETRAIN = "pretrain"
    """Stills under synthetic motion, and generated clips."""
    VIDEO = "video"
    """Sequences, mixed with stills."""


@dataclass(frozen=True, kw_only=True)
class StageDefaults:
    """What a stage stands for, where the call does not say otherwise."""

    video_share: float
    generated: float
    """Share of clips that are generated shapes."""


STAGES = {
    Stage.PRETRAIN: StageDefaults(video_share=0.0, generated=0.1),
    Stage.VIDEO: StageDefaults(video_share=0.5, generated=0.05),
}


@dataclass(frozen=True, kw_only=True)
class Curriculum:
    """The clips of every step: what they are follows from the step alone, so that a resumed run sees the same."""

    composition: Composition
    """Of the first step."""
    steps: int
    batch: int
    """Clips a step."""
    max_speed: float
    """Composition.speed grows to this, linearly from 1."""
    last_frames: int
    """Frames a clip in the last quarter of the steps."""

    def at(self, step: int) -> Composition:
        """What the clips of a step are drawn from."""
        done = step / self.steps
        return replace(
            self.composition,
            speed=1 + (self.max_speed - 1) * done,
            frames=self.last_frames if done >= _LONG_FROM else self.composition.frames,
        )

    def draw(self, step: int, generator: random.Random, *, rank: int = 0, workers: int = 1) -> list[Clip]:
        """One worker's share of a step's clips; all shares together are the same clips for any number of workers."""
        composition = self.at(step)
        seeds = [generator.getrandbits(64) for _ in range(self.batch)]
        return [draw_clip(np.random.default_rng(seed), composition) for seed in seeds[rank::workers]]
