"""The truth: which of its masks belong to which frames of an output."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.datasets import listing
from model.result import Labels
from pipeline.errors import InvalidInput


class NotScored(Exception):
    """Why a video has no score."""


@dataclass(frozen=True, kw_only=True)
class TruthMask:
    """A mask of the truth and the frame that it belongs to."""

    name: str
    frame_index: int
    prompted: bool


def belonging(names: Sequence[str], frames: Sequence[dict[str, Any]], url: str) -> list[TruthMask]:
    """The truth's masks that belong to a frame, in the order of the frames."""
    frame_of = {_key(frame): frame for frame in frames}
    keys = [listing.stem(name) for name in names] if _is_folder(frames) else range(len(names))
    found = [
        TruthMask(name=name, frame_index=frame["frame_index"], prompted=frame["prompted"])
        for name, frame in zip(names, map(frame_of.get, keys), strict=True)
        if frame is not None
    ]
    if not found:
        raise NotScored(f"none of the {len(names)} masks in {url} belongs to one of its {len(frames)} frames")
    return sorted(found, key=lambda mask: mask.frame_index)


def _is_folder(frames: Sequence[dict[str, Any]]) -> bool:
    return bool(frames) and frames[0]["frame_name"] is not None


def _key(frame: dict[str, Any]) -> str | int:
    """What says which mask is a frame's: its name, or in video files its position."""
    name, index = frame["frame_name"], frame["frame_index"]
    return int(index) if name is None else listing.stem(name)


def notes_on_frames(
    names: Sequence[str], masks: Sequence[TruthMask], frames: Sequence[dict[str, Any]]
) -> Iterator[str]:
    if len(masks) < len(names):
        yield f"{len(names) - len(masks)} of {len(names)} masks of the truth belong to no segmented frame"
    elif len(names) <= frames[-1]["frame_index"] and not _is_folder(frames):
        yield f"the truth has {len(names)} masks: they count as frames 0 to {len(names) - 1} of the video"


def check_size(labels: Labels, size: tuple[int, int], where: str) -> None:
    if labels.shape != size:
        raise InvalidInput(
            f"{where} is {labels.shape[1]} x {labels.shape[0]}, the segmented video {size[1]} x {size[0]} "
            "(width x height); choose the truth of the video's size (--resolution)"
        )
