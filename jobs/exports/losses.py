"""What a format cannot hold: named, counted, and told at the end."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self


class Loss(StrEnum):
    """What may be lost, as it is told: "12 " and this."""

    OVERLAP = "pixels that several objects claim"
    LARGE_ID = "object ids that are too large"
    IDENTITY = "object ids"
    ABSENT = "object-frames without a pixel"
    SCORE = "scores"
    UNCERTAINTY = "uncertainties"
    TIME = "timestamps"
    CLASS = "classes of objects"
    OUTLINE = "pixels beside an outline"


@dataclass(kw_only=True)
class Tally:
    """What was written, and what was not."""

    videos: int = 0
    frames: int = 0
    object_frames: int = 0
    """Masks with at least one pixel."""
    left_out: int = 0
    """Masks that the selection left out."""
    lost: Counter[Loss] = field(default_factory=Counter)

    def __iadd__(self, other: "Tally") -> Self:
        self.videos += other.videos
        self.frames += other.frames
        self.object_frames += other.object_frames
        self.left_out += other.left_out
        self.lost += other.lost
        return self

    def restricted(self, lacks: Mapping[Loss, str]) -> "Tally":
        """The same with those losses alone that a format has."""
        lost = Counter({loss: count for loss, count in self.lost.items() if loss in lacks and count})
        return Tally(
            videos=self.videos,
            frames=self.frames,
            object_frames=self.object_frames,
            left_out=self.left_out,
            lost=lost,
        )

    def content(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "videos": self.videos,
            "frames": self.frames,
            "object_frames": self.object_frames,
            "left_out": self.left_out,
            "lost": {loss.name.lower(): count for loss, count in sorted(self.lost.items())},
        }

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Self:
        """From `content`. Raises LookupError, TypeError for what is none."""
        lost = Counter({Loss[name.upper()]: count for name, count in content["lost"].items()})
        return cls(**{**content, "lost": lost})
