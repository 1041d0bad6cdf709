"""Tables as `expected` gives them, that tests write themselves."""

from collections.abc import Collection, Mapping, Sequence

import pyarrow as pa

Js = Mapping[int, Sequence[float]]
"""By object the expected J of its frames, from frame 0 on."""


def judged(
    video_id: str,
    objects: Js,
    *,
    prompted: Collection[int] = (0,),
    statistics: Mapping[str, Sequence[float]] | None = None,
) -> pa.Table:
    """All objects are prompted on the frames `prompted`; `statistics` by column, the same of every object."""
    rows = [
        {
            "video_id": video_id,
            "frame_index": frame,
            "object_id": object_id,
            "prompted": frame in prompted,
            "expected_j": 1.0 if frame in prompted else value,
            "uncertainty": 0.05,
            "area_share": 0.1,
            "overlap_before": 0.9,
            "box_overlap": 0.0,
            "since_prompt": float(frame - max((one for one in prompted if one <= frame), default=0)),
            "cuts": 0.0,
            **{name: values[frame] for name, values in (statistics or {}).items()},
        }
        for object_id, values in objects.items()
        for frame, value in enumerate(values)
    ]
    return pa.Table.from_pylist(sorted(rows, key=lambda row: (row["frame_index"], row["object_id"])))


def stretch(frames: int, *bad: int, good: float = 0.95, j: float = 0.1) -> list[float]:
    """A J for each of so many frames: `j` on the bad ones."""
    return [j if frame in bad else good for frame in range(frames)]
