"""One object in one frame, as JSON values."""

from jobs.reports.curves import ObjectCurves, json_numbers


def object_frame(one: ObjectCurves, place: int, rle: str) -> dict[str, object]:
    """Its mask and what is known of it at this place of the curves."""
    return {
        "id": one.object_id,
        "rle": rle,
        "area": json_numbers(one.area_T[place : place + 1], 0)[0],
        "uncertainty": json_numbers(one.uncertainty_T[place : place + 1], 4)[0],
        "score": json_numbers(one.score_T[place : place + 1], 4)[0],
        "expected_j": json_numbers(one.expected_j_T[place : place + 1], 3)[0],
    }
