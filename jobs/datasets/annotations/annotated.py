"""Videos, frames and objects as annotation tools tell of them.

Legend: H, W size of a picture in pixels.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.storage.store import Store

Size = tuple[int, int]
"""H, W."""
Shape = Mapping[str, Any]
"""Where an object is, as a manifest says it: one of `rle`, `polygons` and `box`."""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One object in one frame, or a part of one."""

    where: str
    """File and record, for messages."""
    class_name: str
    """"": nobody named it."""
    draw: Callable[[Size], Shape]
    """Its shape in a picture of this size; only what becomes a prompt is drawn. Raises InvalidInput."""
    track: int | str | None = None
    """What tells objects apart over the frames of a video; None: nothing does."""
    group: int | str | None = None
    """What the parts of an object share within a frame, where no track says so."""


@dataclass(frozen=True, kw_only=True)
class AnnotatedFrame:
    """One picture, with an object or without."""

    drawn: Sequence[Drawn]
    """In the order of the file: the later lies on top."""
    picture: str = ""
    """File name; "" where the file knows numbers alone."""
    index: int | None = None
    """Position in the video, where the file says it."""
    place: int | None = None
    """Among the annotated frames, where the file has no other number (SA-V)."""
    size: Size | None = None
    """None: as the picture is."""


@dataclass(frozen=True, kw_only=True)
class AnnotatedVideo:
    """One video."""

    video_id: str
    where: str
    """File and record, for messages."""
    folders: Sequence[str]
    """Where its pictures may lie below the images, the likeliest first; a video file lies there with a suffix."""
    frames: Sequence[AnnotatedFrame]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What a layout's reader found."""

    root: Store
    """The folder of the dataset."""
    images: Sequence[str]
    """Folders below it where images may lie, the likeliest first."""
    videos: Sequence[AnnotatedVideo]
    left_out: Counter[str] = field(default_factory=Counter)
    """What has no area to prompt with, by kind."""
