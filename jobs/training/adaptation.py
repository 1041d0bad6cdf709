"""Adapting a network to a corpus: it learns from the corpus's own prompts, and others of them say whether it helped."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from jobs.training.compose import Composition
from jobs.training.corpus import PromptedFrame, Prompts, Split, read_prompts, split
from jobs.training.curriculum import Curriculum
from jobs.training.held_back import OBJECTS, Kind, measuring
from jobs.training.sources import MovedStills
from jobs.training.validation import Validation, clips_validation
from model.estimate import Estimate, estimate, paired_difference
from model.network import AFBURR
from model.training import TrainingConfig
from pipeline.errors import InvalidInput
from pipeline.storage.fingerprints import Fingerprints

_BATCH, _FRAMES, _MAX_OBJECTS, _MAX_SPEED = 4, 3, 4, 2.0
_HERDS = 0.15
_LEAST_PIXELS = 24
_CLIPS, _CLIP_FRAMES = 16, 8


@dataclass(frozen=True, kw_only=True)
class Adaptation:
    """A course of training on the prompts of a manifest."""

    manifest: str
    """URL."""
    output: str
    """Folder of what is needed to go on; see `Course`."""
    config: TrainingConfig
    side: int
    """Of the crops, in pixels."""
    save_every: int
    binary_masks: bool = False
    torch_threads: int = 1
    validate_every: int = 1 << 30
    """Never: what is held back decides at the end, and chooses nothing on the way."""
    if_not_validated: str = ""
    card: Mapping[str, str] = field(default_factory=dict)
    """What the checkpoint says beside what is known here."""

    @cached_property
    def _parts(self) -> Split:
        return split(self.manifest)

    @cached_property
    def learnt(self) -> Prompts:
        """What is learnt from. Raises as `read_prompts`."""
        return self._read(self._parts.learnt)

    @cached_property
    def held_back(self) -> Prompts:
        """What decides. Raises as `read_prompts`."""
        return self._read(self._parts.held_back)

    def _read(self, frames: list[PromptedFrame]) -> Prompts:
        return read_prompts(frames, side=self.side, binary_masks=self.binary_masks)

    def curriculum(self) -> Curriculum:
        """Prompts moved as stills, with cut-outs of one another."""
        prompts, bend = self.learnt, 0.02 * self.side
        composition = Composition(
            sources=[MovedStills(prompts.whole + prompts.crops, bend=bend)],
            shares=[1.0],
            cutouts=prompts.cutouts,
            bend=bend,
            frames=_FRAMES,
            side=self.side,
            max_objects=_MAX_OBJECTS,
            least_pixels=_LEAST_PIXELS,
            herds=_HERDS if len(prompts.crops) else 0.0,
        )
        return Curriculum(
            composition=composition,
            steps=self.config.steps,
            batch=_BATCH,
            max_speed=_MAX_SPEED,
            last_frames=_FRAMES,
        )

    def validation(self) -> None:
        """None: see `validate_every`."""

    def described(self) -> Mapping[str, str]:
        """Counts and recipe, no path."""
        recipe = f"{_BATCH} clips of {_FRAMES} frames at {self.side} px of moved prompts, {self.config.precision}"
        return {**self.card, "prompts": self.learnt.counts, "recipe": recipe}

    def judge(self, before: AFBURR, after: AFBURR) -> "Verdict":
        """Whether `after` is better on clips composed of the prompts that are held back."""
        clips = self._clips()
        scores = [clips.score(network).by_video for network in (before, after)]
        return Verdict(
            before=estimate(scores[0]),
            after=estimate(scores[1]),
            difference=paired_difference(*scores),
            about=clips.about,
        )

    def _clips(self) -> Validation:
        prompts = self.held_back
        pictures = prompts.whole + prompts.crops
        objects = (1, OBJECTS[Kind.SEVERAL][1])
        plain = measuring(pictures, frames=_CLIP_FRAMES, side=self.side, objects=objects)
        composition = replace(plain, cutouts=prompts.cutouts, least_pixels=_LEAST_PIXELS)
        return clips_validation(composition, clips=_CLIPS, of=f"{prompts.number} held-back frames")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What two networks score on the same clips: J&F, mean over the clips."""

    before: Estimate
    after: Estimate
    difference: Estimate
    about: str
    """What they were scored on."""

    @property
    def is_better(self) -> bool:
        """Whether the second gained more than two standard errors."""
        return self.difference.is_sure and self.difference.mean > 0

    def __str__(self) -> str:
        return (
            f"J&F {self.before.mean:.3f} before, {self.after.mean:.3f} after, difference {self.difference.mean:+.3f} "
            f"(standard error {self.difference.standard_error:.3f}) on {self.about}"
        )


def mark(parts: Split, *settings: object) -> str:
    """8 hex digits of a corpus's prompts and of settings: what must be the same to go on with a training.

    Covers the versions of videos and masks, by listings alone. Raises StoreUnavailable.
    """
    versions = Fingerprints()
    known = [[_described(frame, versions) for frame in part] for part in parts]
    return hashlib.sha256(repr((known, settings)).encode()).hexdigest()[:8]


def _described(frame: PromptedFrame, versions: Fingerprints) -> list[str]:
    given = [prompt for prompt in frame.task.prompts if prompt.frame_index == frame.index]
    urls = [frame.task.video_uri, *(prompt.mask_uri for prompt in given if prompt.mask_uri)]
    return [frame.name, repr(given), *(_version(url, versions) for url in urls)]


def _version(url: str, versions: Fingerprints) -> str:
    try:
        return versions.of(url)
    except (FileNotFoundError, InvalidInput):  # what reads it will say so
        return ""
