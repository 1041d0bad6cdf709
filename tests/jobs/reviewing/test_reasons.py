"""Why an object-frame is asked about."""

from collections.abc import Sequence

import numpy as np
import pytest

from jobs.reviewing.reasons import COLUMNS, reasons
from tests.jobs.reviewing.judged import judged


def words(place: int, frames: int = 40, j: float = 0.4, **statistics: Sequence[float]) -> tuple[str, ...]:
    table = judged("v", {1: [j] * frames}, statistics=statistics)
    return reasons({name: table[name].to_numpy() for name in COLUMNS}, place)


def test_a_lost_object_is_told_with_the_frame_at_which_it_was_lost() -> None:
    assert words(35, area_share=[0.1] * 31 + [0.0] * 9) == ("lost at frame 31",)


def test_an_object_that_never_had_a_pixel_was_never_found() -> None:
    assert words(5, area_share=[0.0] * 40) == ("never found",)


def test_an_object_that_comes_back_is_told() -> None:
    assert words(20, area_share=[0.1] * 10 + [0.0] * 10 + [0.1] * 20) == ("found again here",)


@pytest.mark.parametrize(("last", "told"), [(0.34, "area x 3.4 since frame 14"), (0.025, "area / 4.0 since frame 14")])
def test_a_jump_of_the_area_is_told_since_the_frame_that_differs_most(last: float, told: str) -> None:
    assert words(34, area_share=[0.1] * 15 + [(0.1 + last) / 2] * 15 + [last] * 10) == (told,)


def test_a_rise_of_uncertainty_is_told_with_what_it_was() -> None:
    assert words(30, uncertainty=[0.05] * 25 + [0.42] * 15) == ("uncertainty 0.42, was 0.05 ten frames before",)


def test_lasting_uncertainty_is_told_alone() -> None:
    assert words(30, uncertainty=[0.42] * 40) == ("uncertainty 0.42",)


def test_a_jump_to_another_place_is_told() -> None:
    assert words(30, overlap_before=[0.9] * 30 + [0.12] + [0.9] * 9) == ("jumped: overlap 0.12 with the frame before",)


def test_a_cut_shortly_before_is_told() -> None:
    assert words(30, cuts=[0.0] * 28 + [1.0] * 12) == ("cut at frame 28",)
    assert words(39, cuts=[0.0] * 20 + [1.0] * 20) == ("expected J 0.40",)


def test_another_object_over_it_is_told() -> None:
    assert words(30, box_overlap=[0.8] * 40) == ("another object's box covers 80% of its box",)


def test_the_way_from_the_prompt_is_told() -> None:
    assert words(112, frames=120) == ("far from its prompt: 112 frames",)


def test_there_is_always_a_reason() -> None:
    assert words(3) == ("expected J 0.40",)


def test_what_is_not_known_is_no_reason() -> None:
    unknown = [np.nan] * 40
    assert words(20, uncertainty=unknown, overlap_before=unknown, box_overlap=unknown) == ("expected J 0.40",)
