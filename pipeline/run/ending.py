"""When a video ends before its last frame, as nothing is known of what follows: at a cut, or with all objects lost.

A video never ends before its last prompt: who gave it knows what is there, and wants the masks on the way to it.
"""

from dataclasses import dataclass, field
from typing import Literal

from model.effect import omit_at
from model.result import FrameResult

AtCuts = Literal["go-on", "stop"]


@dataclass(frozen=True, kw_only=True)
class EndingConfig:
    """What ends a video early; part of what names a result (`model.effect`), for the frames behind it are missing."""

    at_cuts: AtCuts = field(default="go-on", metadata=omit_at("go-on"))
    """stop: the first cut behind the last prompt is the video's last frame."""
    stop_when_lost: int | None = field(default=None, metadata=omit_at(None))
    """So many frames in a row without any object, behind the last prompt, are the video's last ones; None: no limit."""


class Ending:
    """Looks at the frames of one video in their order."""

    def __init__(self, config: EndingConfig, *, last_prompt: int) -> None:
        """`last_prompt`: frame index of the video's last prompt."""
        self._config = config
        self._last_prompt = last_prompt
        self._empty = 0
        """Frames without an object up to this one."""

    def at(self, frame_index: int, result: FrameResult) -> int | None:
        """Where a prompt is needed, if this is the frame that the video ends with; else None.

        That is the cut, or the first of the frames without an object.
        """
        if frame_index <= self._last_prompt:
            return None
        if result.shot_cut and self._config.at_cuts == "stop":
            return frame_index
        if self._config.stop_when_lost is None:
            return None
        self._empty = 0 if result.labels.any() else self._empty + 1
        return frame_index - self._empty + 1 if self._empty == self._config.stop_when_lost else None
