"""What is told of an object-frame by areas alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.output.events import Events, event

PICTURE = 1000
AREAS = st.integers(0, PICTURE)


def events_of(areas: list[int], **given: dict[int, int]) -> list[str | None]:
    """Of one object, frame by frame."""
    events = Events(**given)
    return [events.of(7, area, PICTURE) for area in areas]


@pytest.mark.parametrize(
    ("areas", "expected"),
    [
        ([10, 0, 0, 10], [None, "lost", None, "found"]),
        ([0, 0, 10], [None, None, "found"]),
        ([10, 30, 10], [None, "jump", "jump"]),
        ([10, 29, 10], [None, None, None]),
        ([0, 901, 0], [None, "fills", "lost"]),
        ([900, 901, 901, 300], [None, "fills", "fills", "jump"]),
        ([1000], ["fills"]),
    ],
)
def test_planted_ones_are_told(areas: list[int], expected: list[str | None]) -> None:
    assert events_of(areas) == expected


def test_objects_do_not_disturb_each_other() -> None:
    events = Events()
    told = [(events.of(1, one, PICTURE), events.of(2, other, PICTURE)) for one, other in ((10, 50), (0, 50), (0, 200))]
    assert told == [(None, None), ("lost", None), (None, "jump")]


@given(st.lists(AREAS, min_size=1), st.integers(0, 50))
def test_who_begins_in_the_middle_tells_the_same(areas: list[int], middle: int) -> None:
    middle = min(middle, len(areas) - 1)
    before = {7: areas[middle - 1]} if middle else {}
    assert events_of(areas)[middle:] == events_of(areas[middle:], before=before)


@given(AREAS, AREAS)
def test_one_holds_at_most_and_what_it_says_is_so(before: int, area: int) -> None:
    told = event(before, area, PICTURE)
    assert (told == "fills") == (area > 900)
    if told != "fills":
        assert (told == "lost") == (before > 0 and not area)
        assert (told == "found") == (not before and area > 0)
        assert (told == "jump") == (bool(before and area) and (area >= 3 * before or before >= 3 * area))


@given(AREAS)
def test_the_first_frame_of_an_object_has_no_frame_before_it(area: int) -> None:
    assert event(None, area, PICTURE) in (None, "fills")
