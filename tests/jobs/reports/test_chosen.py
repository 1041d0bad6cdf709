import numpy as np
import pytest

from jobs.reports.chosen import choose, peaks
from jobs.reports.curves import Curves, ObjectCurves
from jobs.reports.marks import Mark


def curves(uncertainty: list[float], expected_j: list[float] | None = None, first: int = 0) -> Curves:
    length = len(uncertainty)
    one = ObjectCurves(
        object_id=1,
        area_T=np.ones(length),
        uncertainty_T=np.array(uncertainty),
        score_T=np.ones(length),
        expected_j_T=np.array(expected_j) if expected_j else np.full(length, np.nan),
    )
    return Curves(frame_T=np.arange(first, first + length), columns={}, objects=(one,))


def test_peaks_come_highest_first_and_lie_apart() -> None:
    values = np.full(200, 0.1)
    values[[50, 51, 120]] = [0.8, 0.7, 0.9]
    assert peaks(values) == [120, 50]


@pytest.mark.parametrize("values", [[], [np.nan, np.nan], [0.3] * 10])
def test_what_is_flat_or_unknown_has_no_peak(values: list[float]) -> None:
    assert peaks(np.array(values)) == []


def test_every_frame_says_why_it_is_shown() -> None:
    uncertainty, expected = [0.1] * 100, [0.9] * 100
    uncertainty[40], expected[70] = 0.6, 0.2
    marks = [Mark(frame_index=110, kind="prompt"), Mark(frame_index=130, kind="lost", object_id=1)]
    reasons = choose(curves(uncertainty, expected, first=100), marks, [130, 170, 7], spaced=2)
    assert reasons == {
        100: [],
        110: ["prompt"],
        130: ["to review", "lost"],
        140: ["uncertainty peak"],
        170: ["to review", "low expected J"],
        199: [],
    }
    assert list(reasons) == sorted(reasons)


def test_a_video_full_of_events_shows_few_frames() -> None:
    marks = [Mark(frame_index=index, kind=kind) for index in range(10_000) for kind in ("cut", "jump", "lost")]
    numbers = np.random.default_rng(1)
    found = choose(curves(numbers.random(10_000).tolist()), marks, [], spaced=12)
    assert 12 < len(found) < 60


def test_a_video_without_a_frame_shows_none() -> None:
    assert choose(curves([]), [], [3], 12) == {}
