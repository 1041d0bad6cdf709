"""All that a training follows from, and the material that it names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jobs.datasets.davis import DavisSequence, read_sequences
from jobs.training.compose import Composition
from jobs.training.curriculum import STAGES, Curriculum, Stage
from jobs.training.runs import RunSequences
from jobs.training.sources import DavisSequences, MovedStills, Source
from jobs.training.stills import read_coco, read_stills, usable
from jobs.training.validation import Validation, composed_validation, davis_validation
from model.training import TrainingConfig
from pipeline.errors import InvalidInput

_BEND = 0.03
"""Things change their shape by this share of a crop's side from the first frame to the last, as what lives does."""
_DEPTH = 0.4
"""Share of what moves that comes nearer, turns, and has something behind it, as things in a video do."""
_VEILS = 0.4
"""A clip's cut-outs, in the mean, from behind which more of an object comes: else all that is new were background."""
_SLOW = 0.3
"""Share of clips that move as a video does from one frame to the next: there the last frame says most."""


@dataclass(frozen=True, kw_only=True)
class Sequences:
    """Some sequences of a folder in DAVIS layout."""

    root: str
    set_file: str | None = None
    """Names, one a line; None: all."""
    resolution: str | None = None
    """None: found, where there is only one."""

    prefix: str = "--"
    """What the options `set` and `resolution` start with, for messages."""

    def read(self) -> list[DavisSequence]:
        """At least one. Raises InvalidInput that names what is missing."""
        return read_sequences(self.root, set_file=self.set_file, resolution=self.resolution, prefix=self.prefix)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All but the weights that the training starts with."""

    output: str
    config: TrainingConfig
    stage: Stage
    stills: Sequence[str]
    """Folders."""
    coco: tuple[str, str] | None = None
    """Pictures and annotations of more stills."""
    sequences: Sequences | None = None
    run: tuple[str, str] | None = None
    """OUTPUT and manifest of a run whose masks are learnt from."""
    validate: Sequences | None = None
    """None: composed clips of held-back stills."""
    video_share: float
    """Of the clips."""
    batch: int
    """Clips a step, over all workers."""
    frames: int
    last_frames: int
    """Frames a clip in the last quarter of the steps."""
    side: int
    max_objects: int
    max_speed: float
    alike: float
    """Share of the clips with many things that look alike: herds and squares, half and half."""
    save_every: int
    """Steps; `validate_every` too."""
    validate_every: int
    torch_threads: int = 1
    """Of each worker, on the CPU."""
    card: Mapping[str, str] = field(default_factory=dict)
    """What the checkpoints say beside what the training knows of itself."""

    @property
    def if_not_validated(self) -> str:
        """Why: only held-back stills can be missing."""
        return "no validation: the --stills hold no picture back (every tenth is, by its name); see --validate"

    def curriculum(self) -> Curriculum:
        """The clips to learn from. Raises InvalidInput where the material does not suffice."""
        return Curriculum(
            composition=self._composition(),
            steps=self.config.steps,
            batch=self.batch,
            max_speed=self.max_speed,
            last_frames=self.last_frames,
        )

    def _composition(self) -> Composition:
        pictures = [still for folder in self.stills for still in read_stills(folder)]
        pictures += read_coco(*self.coco) if self.coco else []
        if not pictures:
            raise InvalidInput("give at least one --stills folder or --coco: pasted objects are cut from them")
        pictures = usable(pictures)
        videos = self._videos()
        share = self.video_share if videos else 0.0
        bend = _BEND * self.side / (max(self.frames, self.last_frames) - 1)
        return Composition(
            sources=[MovedStills(pictures, bend=bend, depth=_DEPTH), *videos],
            shares=[1 - share, *[share / len(videos) for _ in videos]],
            cutouts=pictures,
            bend=bend,
            depth=_DEPTH,
            veils=_VEILS,
            frames=self.frames,
            side=self.side,
            max_objects=self.max_objects,
            generated=STAGES[self.stage].generated,
            herds=self.alike / 2,
            squares=self.alike / 2,
            slow=_SLOW,
        )

    def _videos(self) -> list[Source]:
        found: list[Source] = []
        if self.sequences is not None:
            found.append(DavisSequences(self.sequences.read()))
        if self.run is not None:
            found.append(RunSequences(*self.run))
        return found

    def validation(self) -> Validation | None:
        """What the training is scored on; None where `stills` hold none back. Raises InvalidInput."""
        if self.validate is None:
            return composed_validation(self.stills, side=self.side)
        return davis_validation(self.validate.read())

    def described(self) -> Mapping[str, str]:
        """What the call says of itself, the stage, and what the clips are."""
        frames = str(self.frames) if self.frames == self.last_frames else f"{self.frames}, at last {self.last_frames},"
        recipe = (
            f"{self.batch} clips of {frames} frames at {self.side} px, up to {self.max_objects} objects, "
            f"speed to {self.max_speed:g}, alike {self.alike:g}, video share {self.video_share:g}, "
            f"{self.config.precision}{', frozen trunks' if self.config.frozen_trunks else ''}"
        )
        return {**self.card, "stage": self.stage.value, "recipe": recipe}
