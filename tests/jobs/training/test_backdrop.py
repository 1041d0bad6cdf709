"""What stands where objects were."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jobs.training.backdrop import backdrop
from tests.jobs.material import picture, two_boxes


@given(seed=st.integers(0, 1000))
def test_no_hole_keeps_its_object_and_nothing_else_changes(seed: int) -> None:
    """Red boxes before a picture without red: what covers them comes from elsewhere in it."""
    scene = picture(seed)
    scene[..., 0] //= 3
    holes = two_boxes() > 0
    scene[holes] = (255, 0, 0)
    filled = backdrop(np.random.default_rng(seed), scene, holes)
    assert filled.dtype == np.uint8
    assert filled[holes][:, 0].max() < 128
    far = np.ones_like(holes)
    far[5:55, 3:76] = False
    np.testing.assert_array_equal(filled[far], scene[far])


def test_without_holes_the_picture_stays() -> None:
    scene = picture(1)
    np.testing.assert_array_equal(backdrop(np.random.default_rng(0), scene, np.zeros(scene.shape[:2], bool)), scene)
