"""Run lengths: exact both ways, with the right box and area."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pipeline.output import rle

MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.booleans())


@given(mask=MASKS)
def test_decode_undoes_encode(mask: "np.ndarray[tuple[int, int], np.dtype[np.bool_]]") -> None:
    encoded = rle.encode(mask)
    np.testing.assert_array_equal(rle.decode(encoded.counts, *mask.shape), mask)
    assert encoded.area == mask.sum()


@given(mask=MASKS)
def test_the_box_is_tight(mask: "np.ndarray[tuple[int, int], np.dtype[np.bool_]]") -> None:
    box = rle.encode(mask).box
    if not mask.any():
        assert box is None
        return
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    assert box == (columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1)


def test_counts_are_column_major_with_the_background_first() -> None:
    mask = np.array([[0, 1], [0, 1], [1, 0]], bool)
    # two background, then three foreground down the columns, then one background: "231" as COCO writes it
    assert rle.encode(mask).counts == "231"
