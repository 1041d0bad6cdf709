import pyarrow as pa

from jobs.reports.marks import Mark, find_marks


def test_marks_come_from_flags_and_events_in_order() -> None:
    frames = pa.table(
        {
            "frame_index": [3, 4, 5],
            "prompted": [True, False, False],
            "shot_cut": pa.array([None, False, True]),
            "damaged": [False, True, False],
        }
    )
    masks = pa.table({"frame_index": [3, 4, 5], "object_id": [2, 2, 2], "event": pa.array([None, "jump", "lost"])})
    assert find_marks(frames, masks) == [
        Mark(frame_index=3, kind="prompt"),
        Mark(frame_index=4, kind="damaged"),
        Mark(frame_index=4, kind="jump", object_id=2),
        Mark(frame_index=5, kind="cut"),
        Mark(frame_index=5, kind="lost", object_id=2),
    ]
