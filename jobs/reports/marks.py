"""What happens in a video, frame by frame: prompts, cuts, damage, events of objects."""

from dataclasses import dataclass

import pyarrow as pa

FRAME_FLAGS = {"prompted": "prompt", "shot_cut": "cut", "damaged": "damaged"}
"""What a mark says of a frame, by the column of `frames` that tells."""
MOST_MARKS = 2000


@dataclass(frozen=True, kw_only=True, order=True)
class Mark:
    """Something that happens in a frame."""

    frame_index: int
    kind: str
    """prompt, cut, damaged, or an event of `masks`: lost, found, jump, fills."""
    object_id: int | None = None
    """None: the whole frame."""


def find_marks(frames: pa.Table, masks: pa.Table) -> list[Mark]:
    """All of a video's, by frame; `frames` and `masks` are its rows with the flags and the events."""
    found = [
        Mark(frame_index=index, kind=kind)
        for column, kind in FRAME_FLAGS.items()
        for index in frames.filter(frames[column])["frame_index"].to_pylist()
    ]
    rows = masks.filter(masks["event"].is_valid()).select(["frame_index", "event", "object_id"]).to_pylist()
    found += [Mark(frame_index=row["frame_index"], kind=row["event"], object_id=row["object_id"]) for row in rows]
    return sorted(found, key=lambda mark: (mark.frame_index, mark.kind, mark.object_id or 0))
