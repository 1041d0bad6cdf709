"""How far a run and its workers are."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is."""

    videos_total: int
    """Videos to do in this run; those that were complete before are not counted."""
    videos_done: int
    videos_failed: int
    frames_done: int
    frames_total: int | None
    """Of all videos to do: as headers and manifest tell, the others taken to be as long on average; None: unknown."""


@dataclass(frozen=True, kw_only=True)
class WorkerCounts:
    """How far workers are; sums over workers are counts too."""

    frames_done: int = 0
    """Frames segmented, those of failed attempts included."""
    frames_begun: int = 0
    """Frames that the videos begun so far have, as far as their headers tell."""
    videos_begun: int = 0
    """Videos that `frames_begun` is about."""

    def __add__(self, other: "WorkerCounts") -> "WorkerCounts":
        return WorkerCounts(
            frames_done=self.frames_done + other.frames_done,
            frames_begun=self.frames_begun + other.frames_begun,
            videos_begun=self.videos_begun + other.videos_begun,
        )


def of_lost(counts: WorkerCounts) -> WorkerCounts:
    """The video that a lost worker had in hand is begun again by another, what it did is not undone."""
    videos = max(0, counts.videos_begun - 1)
    return WorkerCounts(frames_done=counts.frames_done, frames_begun=counts.frames_done, videos_begun=videos)


def frames_total(counts: WorkerCounts, unstarted: Iterable[int | None]) -> int | None:
    """Frames of all videos to do: those begun, and `unstarted` by video (None: unknown, then as long as the average).

    None when nothing is known.
    """
    waiting = list(unstarted)
    told = [frames for frames in waiting if frames is not None]
    frames, videos = counts.frames_begun + sum(told), counts.videos_begun + len(told)
    return round(frames + frames / videos * (len(waiting) - len(told))) if videos else None
