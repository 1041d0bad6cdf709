import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pycocotools import mask as coco
from scipy import ndimage

from jobs.exports.polygons import polygons

MASKS = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def filled(rings: list[list[int]], size: tuple[int, int]) -> NDArray[np.bool_]:
    return np.asarray(
        coco.decode(coco.merge(coco.frPyObjects([list(map(float, ring)) for ring in rings], *size))), bool
    )


@given(MASKS.filter(np.any))
def test_what_they_enclose_is_the_mask(mask: NDArray[np.bool_]) -> None:
    rings = polygons(mask)
    if rings is not None:
        assert np.array_equal(filled(rings, mask.shape), mask)
        assert len(rings) == ndimage.label(mask)[1]


@given(MASKS)
def test_there_are_none_of_masks_with_holes_alone(mask: NDArray[np.bool_]) -> None:
    around = np.pad(~mask, 1, constant_values=True)
    outside = ndimage.label(around, np.ones((3, 3)))[0]
    has_hole = bool(outside.max() > 1)
    assert (polygons(mask) is None) == has_hole


def test_corners_go_around_once() -> None:
    mask = np.zeros((4, 5), bool)
    mask[1:3, 2:4] = True
    assert polygons(mask) == [[2, 1, 4, 1, 4, 3, 2, 3]]
    assert polygons(np.zeros((4, 5), bool)) == []
