import itertools

from hypothesis import given
from hypothesis import strategies as st

from jobs.pictures.colours import PALETTE, object_colour
from tests.jobs.pictures.shown import distance


def test_palette_colours_are_easy_to_tell_apart() -> None:
    colours = [object_colour(object_id) for object_id in range(1, len(PALETTE) + 1)]
    assert len(colours) == 12
    assert min(distance(first, second) for first, second in itertools.combinations(colours, 2)) > 60


@given(st.integers(13, 2**31 - 1))
def test_generated_colours_differ_from_their_neighbours(object_id: int) -> None:
    colours = [object_colour(object_id + step) for step in range(4)]
    assert min(distance(first, second) for first, second in itertools.combinations(colours, 2)) > 40
    assert all(0 <= channel <= 255 for colour in colours for channel in colour)
