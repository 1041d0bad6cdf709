"""What a format is."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from jobs.exports.losses import Loss
from jobs.exports.parts import Parts
from jobs.exports.sink import Sink
from jobs.exports.video import ExportedFrame, ExportedVideo


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """All videos of an export together."""

    categories: Sequence[str]
    """Class names; the id of a category is its place here, from 1."""


def _nothing(corpus: Corpus, parts: Parts) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class Format:
    """One way to write results; its functions live in one file of `formats/`."""

    name: str
    """After `--format`."""
    lacks: Mapping[Loss, str]
    """What it cannot hold, and what becomes of it."""
    write: Callable[[ExportedVideo, Iterator[ExportedFrame], Sink], None]
    """Write one video; its frames come once, in order. What is lost in a way of its own it tells the sink."""
    finish: Callable[[Corpus, Parts], None] = _nothing
    """Write the files that all videos share, when all are written."""
    pictures: str | None = None
    """Folder of `--frames`, in it a folder a video; None: the format has no place for frames."""
    from_pictures: bool = False
    """Whether it draws on the frames, so that it needs the manifest."""
