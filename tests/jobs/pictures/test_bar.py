from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from jobs.pictures.bar import uncertainty_bar
from tests.jobs.pictures.shown import grey


def strip_of(values: Sequence[float | None], index: int, width: int = 400) -> NDArray[np.int64]:
    """Curve heights in pixels by column, without the caption's and the mark's columns (-1 there)."""
    rgb = grey(480, width)
    shown = uncertainty_bar(rgb, values, index)
    assert np.array_equal(shown[:480], rgb)
    strip = shown[480:].astype(int)
    heights: NDArray[np.int64] = (strip != strip[0, 0]).any(axis=2).sum(axis=0)
    mark = int((index + 0.5) * width / len(values))
    heights[: width // 4] = -1
    heights[max(0, mark - 2) : mark + 3] = -1
    return heights


def test_the_strip_fills_up_to_the_current_frame() -> None:
    heights = strip_of([0.1] * 100, 49)
    assert (heights[105:195] > 10).all()
    assert (heights[203:] == 0).all()


def test_the_current_frame_is_marked() -> None:
    shown = uncertainty_bar(grey(480, 400), [0.1] * 100, 74)[480:]
    assert (shown[:, int(74.5 * 4)] == 255).all()


def test_a_peak_stands_out_in_height_and_colour() -> None:
    values = [0.01] * 100
    values[60] = 0.2
    heights = strip_of(values, 99)
    assert heights[242] > 3 * heights[160] > 0
    strip = uncertainty_bar(grey(480, 400), values, 99)[480:].astype(int)
    redness = strip[-1, :, 0] - strip[-1, :, 2]
    assert redness[242] > 0 > redness[160]


def test_a_quiet_video_stays_flat() -> None:
    heights = strip_of([0.001] * 100, 99)
    assert heights[heights >= 0].max() < 6


def test_no_peak_is_lost_in_a_video_longer_than_the_picture_is_wide() -> None:
    values = [0.01] * 40_000
    values[30_033] = 0.2
    heights = strip_of(values, 39_990)
    assert heights.max() > 25
    assert abs(int(heights.argmax()) - 300) <= 1


def test_frames_without_a_value_leave_a_gap() -> None:
    values: list[float | None] = [0.1] * 100
    values[50:70] = [None] * 20
    heights = strip_of(values, 99)
    assert (heights[205:275] == 0).all()
    assert (heights[285:390] > 10).all()
    assert (strip_of([None, None, None], 1) <= 0).all()
