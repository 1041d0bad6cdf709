"""The statistics of object-frames, on masks whose numbers can be told by hand."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from jobs.reviewing.statistics import OBJECT_FRAMES, STATISTICS, centred_mean, object_frames, trailing_mean
from tests.jobs.reviewing.made import box, put

NEVER = np.zeros((20, 30), np.uint8)
KNOWN_AT_ONCE = {
    "area_share", "border", "fragments", "largest_fragment", "raggedness", "overlap_before", "overlap_after",
    "area_change", "shift", "box_overlap", "area_to_prompt", "since_prompt", "nearest_prompt", "shift_worst", "shrunk",
    "grown", "absent_share", "cuts", "num_objects", "overlap_worst", "area_change_worst", "overlap_around",
}  # fmt: skip
"""Statistics that need no prediction."""


def of(table: pa.Table, name: str, object_id: int = 1) -> list[float]:
    rows = table.filter(pa.compute.equal(table["object_id"], object_id))
    return [round(value, 4) for value in rows[name].to_pylist()]


def test_a_row_for_every_mask_in_the_order_of_the_masks(output: str) -> None:
    both = box(2, 2, 5, 5) + box(20, 2, 5, 5, object_id=7)
    video = put(output, "v [x]", [both] * 3, prompts={0: {1: False, 7: False}})
    table = object_frames(video)
    assert table.schema.equals(OBJECT_FRAMES, check_metadata=True)
    assert table.select(["video_id", "frame_index", "object_id"]).to_pylist() == [
        {"video_id": "v [x]", "frame_index": frame, "object_id": object_id}
        for frame in range(3)
        for object_id in (1, 7)
    ]


def test_areas_against_the_prompt_and_the_frame_before(output: str) -> None:
    table = object_frames(
        put(output, "v", [box(0, 2, 8, 8), box(0, 2, 4, 8), box(0, 2, 16, 8), NEVER, box(0, 2, 8, 8)])
    )
    assert of(table, "area_to_prompt")[:3] == [0, -1, 1]
    assert of(table, "area_change")[:3] == [0, 1, 2]
    assert of(table, "grown") == [0, 0, 1, 1, 1]
    assert of(table, "absent_share") == [0, 0, 0, 0.25, 0.2]
    assert of(table, "overlap_before") == [1, 0.5, 0.25, 0, 0]
    assert of(table, "overlap_after") == [0.5, 0.25, 0, 0, 1]
    assert of(table, "overlap_worst") == [1, 0.5, 0.25, 0, 0]
    assert of(table, "score")[3] == 0
    assert of(table, "border") == [1, 1, 1, 0, 1]


def test_masks_from_a_later_prompt_are_looked_at_from_there(output: str) -> None:
    """What lies before a prompt is what would lie behind it in the reversed video."""
    masks = [box(n, 2 + n // 3, 8 - n // 2, 8) for n in range(6)]
    values = [0.1, 0.5, 0.2, 0.7, 0.3, 0.4]
    reached = {n: [1] for n in range(5)}
    back = object_frames(
        put(output, "v", masks, prompts={5: {1: False}}, uncertainty=values, backward=reached, cuts=[3])
    )
    forth = object_frames(put(output, "w", masks[::-1], uncertainty=values[::-1], cuts=[3]))
    names = {
        "area_to_prompt", "shrunk", "grown", "shift_worst", "shift_from_prompt", "since_prompt", "nearest_prompt",
        "uncertainty_worst", "uncertainty_since", "uncertain_share", "overlap_worst", "area_change_worst",
        "absent_share", "cuts",
    }  # fmt: skip
    found = {name: of(back, name)[1:4] for name in names}
    assert found == {name: of(forth, name)[4:1:-1] for name in names}
    assert of(back, "since_prompt") == [5, 4, 3, 2, 1, 0]


def test_between_prompts_each_mask_has_the_one_that_it_comes_from(output: str) -> None:
    masks = [box(0, 2, 4, 8), box(0, 2, 4, 8), box(0, 2, 8, 8), box(0, 2, 8, 8), box(0, 2, 16, 8), box(0, 2, 8, 8)]
    prompts = {0: {1: False}, 4: {1: False}}
    table = object_frames(put(output, "v", masks, prompts=prompts, backward={2: [1], 3: [1]}))
    assert of(table, "since_prompt") == [0, 1, 2, 1, 0, 1]
    assert of(table, "area_to_prompt") == [0, 0, -1, -1, 0, -1]
    assert of(table, "overlap_worst")[2:4] == [0.5, 0.5]


def test_a_prompt_begins_anew(output: str) -> None:
    masks = [box(0, 2, 8, 8), box(0, 2, 4, 8), box(0, 2, 4, 8), box(0, 2, 4, 8), box(4, 2, 4, 8)]
    table = object_frames(put(output, "v", masks, prompts={0: {1: False}, 3: {1: True}}, cuts=[2, 4]))
    assert table["prompted"].to_pylist() == [True, False, False, True, False]
    assert of(table, "area_to_prompt") == [0, -1, -1, 0, 0]
    assert of(table, "since_prompt") == [0, 1, 2, 0, 1]
    assert of(table, "nearest_prompt") == [0, 1, 1, 0, 1]
    assert of(table, "cuts") == [0, 0, 1, 0, 1]
    assert of(table, "shift_worst")[3:] == [0, round(4 / np.hypot(4, 8), 4)]


def test_only_the_object_that_is_given_is_prompted(output: str) -> None:
    both = box(2, 2, 5, 5) + box(20, 2, 5, 5, object_id=2)
    table = object_frames(put(output, "v", [both] * 3, prompts={0: {1: False, 2: False}, 2: {2: False}}))
    assert table["prompted"].to_pylist() == [True, True, False, False, False, True]
    assert of(table, "since_prompt", 2) == [0, 1, 0]


def test_earlier_versions_tell_of_the_frame_alone(output: str) -> None:
    table = object_frames(put(output, "v", [box(2, 2, 5, 5)] * 3, told=False))
    assert table["prompted"].to_pylist() == [True, False, False]


def test_backwards_from_a_later_prompt(output: str) -> None:
    """As if the film ran the other way."""
    masks = [box(0, 2, 4, 8), box(0, 2, 8, 8), box(0, 2, 16, 8), box(0, 2, 8, 8), box(0, 2, 4, 8)]
    table = object_frames(put(output, "v", masks, prompts={2: {1: False}}, backward=[0, 1], cuts=[1, 4]))
    assert of(table, "since_prompt") == [2, 1, 0, 1, 2]
    assert of(table, "nearest_prompt") == [2, 1, 0, 1, 2]
    assert of(table, "area_to_prompt") == [-2, -1, 0, -1, -2]
    assert of(table, "overlap_worst") == [0.5, 0.5, 1, 0.5, 0.5]
    assert of(table, "area_change_worst") == [1, 1, 0, 1, 1]
    assert of(table, "cuts") == [1, 0, 0, 0, 1]
    assert of(table, "uncertain_share")[:2] == of(table, "uncertain_share")[:2:-1] == [0, 0]


def test_uncertainty_since_the_prompt(output: str) -> None:
    values = [0.0, 0.2, 0.4, 0.4, 0.2]
    table = object_frames(put(output, "v", [box(2, 2, 5, 5)] * 5, uncertainty=values))
    assert of(table, "uncertainty")[1:] == [0.2, 0.4, 0.4, 0.2]
    assert of(table, "uncertainty_since")[1:] == [0.2, 0.3, 0.3333, 0.3]
    assert of(table, "uncertainty_worst")[1:] == [0.2, 0.3, 0.3333, 0.3333]
    assert of(table, "uncertain_share")[1:] == [0, 0.5, 0.6667, 0.5]
    assert of(table, "uncertainty_change")[2:] == [0.2, 0.1, -0.1333]


def test_boxes_of_others(output: str) -> None:
    both = box(2, 2, 10, 10) + box(7, 12, 10, 5, object_id=2)
    both[2:12, 7:12] = 1
    table = object_frames(put(output, "v", [both, both], prompts={0: {1: False, 2: False}}))
    assert of(table, "box_overlap") == [0, 0]
    both[11, 15] = 2  # its box now reaches over a row of the other's
    table = object_frames(put(output + "2", "v", [both, both], prompts={0: {1: False, 2: False}}))
    assert of(table, "box_overlap") == [0.05, 0.05]


def test_only_the_first_frames_lack_a_statistic(output: str) -> None:
    table = object_frames(put(output, "v", [box(2, 2, 5, 5), NEVER, NEVER, box(9, 2, 5, 5)]))
    for name in STATISTICS:
        values = table[name].to_numpy()
        assert np.isfinite(values[3]), name
        assert name not in KNOWN_AT_ONCE or np.isfinite(values).all(), name


def test_an_object_that_comes_back_has_moved_from_where_it_was_last(output: str) -> None:
    table = object_frames(put(output, "v", [box(0, 0, 3, 4), NEVER, NEVER, box(10, 0, 3, 4)]))
    assert of(table, "shift") == [0, 0, 0, 2]
    assert of(table, "shift_from_prompt") == [0, 0, 0, 2]


def test_a_prompt_without_a_pixel(output: str) -> None:
    table = object_frames(put(output, "v", [NEVER, NEVER, box(10, 0, 3, 4)]))
    assert of(table, "shift_from_prompt") == [0, 0, 0]
    assert table["prompted"].to_pylist() == [True, False, False]


def test_a_video_without_masks(output: str) -> None:
    table = object_frames(put(output, "v", [NEVER, NEVER], prompts={}))
    assert (len(table), table.schema) == (0, OBJECT_FRAMES)


@given(st.lists(st.one_of(st.floats(-1, 1), st.just(float("nan"))), max_size=30), st.integers(1, 12))
def test_windows(values: list[float], reach: int) -> None:
    array: NDArray[np.float64] = np.array(values, np.float64)
    for mean, before, after in (
        (trailing_mean(array, reach), reach - 1, 0),
        (centred_mean(array, reach), reach, reach),
    ):
        for at, value in enumerate(mean):
            inside = array[max(0, at - before) : at + after + 1]
            known = inside[~np.isnan(inside)]
            assert value == pytest.approx(known.mean(), abs=1e-9) if len(known) else np.isnan(value)
