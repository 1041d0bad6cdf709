import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.pictures.colours import object_colour
from jobs.pictures.overlay import blend
from tests.jobs.pictures.shown import GREY, grey


def test_background_and_void_keep_the_picture() -> None:
    labels = np.zeros((40, 60), np.int32)
    labels[:, 30:] = 255
    assert np.array_equal(blend(grey(), labels), grey())


@given(
    object_id=st.sampled_from([1, 2, 12, 13, 254, 256, 70_000]),
    alpha=st.floats(0, 1),
    dtype=st.sampled_from([np.int32, np.int64]),
)
def test_inside_an_object_its_colour_is_mixed_in(object_id: int, alpha: float, dtype: type[np.int32]) -> None:
    labels = np.zeros((40, 60), dtype)
    labels[10:30, 10:30] = object_id
    shown = blend(grey(), labels, alpha=alpha)
    expected = (1 - alpha) * GREY + alpha * np.array(object_colour(object_id))
    assert np.abs(shown[20, 20] - expected).max() <= 1
    assert np.array_equal(shown[:, 31:], grey()[:, 31:])


def test_objects_are_outlined_in_their_own_colour() -> None:
    labels = np.zeros((40, 60), np.uint8)
    labels[10:30, 10:30] = 2
    shown = blend(grey(), labels)
    assert tuple(shown[10, 20]) == object_colour(2)
    assert tuple(shown[20, 29]) == object_colour(2)
    assert tuple(shown[12, 20]) != object_colour(2)
    assert tuple(shown[9, 20]) == (GREY, GREY, GREY)


def test_the_outline_is_thicker_in_a_larger_picture() -> None:
    labels = np.zeros((1080, 600), np.uint8)
    labels[100:900, 100:500] = 1
    shown = blend(grey(1080, 600), labels)
    assert [tuple(shown[100 + y, 300]) == object_colour(1) for y in range(5)] == [True] * 3 + [False] * 2


def test_where_an_object_leaves_the_frame_there_is_no_outline() -> None:
    shown = blend(grey(), np.ones((40, 60), np.uint8))
    assert (shown == shown[20, 20]).all()
    assert tuple(shown[0, 0]) != object_colour(1)


def test_a_colour_does_not_depend_on_the_other_objects() -> None:
    labels = np.zeros((40, 60), np.int32)
    labels[5:35, 5:25] = 7
    alone = blend(grey(), labels)
    labels[5:35, 35:55] = 3
    assert np.array_equal(blend(grey(), labels)[:, :30], alone[:, :30])


def test_blend_leaves_its_input_alone() -> None:
    rgb = grey()
    blend(rgb, np.ones((40, 60), np.uint8))
    assert np.array_equal(rgb, grey())


def test_labels_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="resize the labels"):
        blend(grey(), np.zeros((20, 30), np.uint8))
