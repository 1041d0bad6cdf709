"""Run lengths: byte for byte those of pycocotools, with the right box and area, however many objects a frame has."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco

from model.result import Labels
from pipeline.output import rle

IDS = (1, 2, 255, 256, 65_535, 70_000, 2**31 - 1)
LABELS = arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.sampled_from((0, *IDS)))
BLOCKS = st.tuples(st.integers(1, 60), st.integers(1, 60))


def of_pycocotools(mask: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]") -> rle.EncodedMask:
    encoded = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    x, y, width, height = coco.toBbox(encoded).astype(int).tolist()
    box = (x, y, width, height) if mask.any() else None
    return rle.EncodedMask(counts=encoded["counts"].decode(), area=int(coco.area(encoded)), box=box)


@given(labels=LABELS, block=BLOCKS, ids=st.sets(st.sampled_from(IDS)))
def test_every_object_is_encoded_as_pycocotools_does(labels: Labels, block: tuple[int, int], ids: set[int]) -> None:
    large = np.kron(labels, np.ones(block, np.int32))
    found = rle.encode(large, sorted(ids))
    assert found == [of_pycocotools(large == object_id) for object_id in sorted(ids)]


@given(labels=LABELS, object_id=st.sampled_from(IDS))
def test_decode_undoes_encode(labels: Labels, object_id: int) -> None:
    (encoded,) = rle.encode(labels, [object_id])
    mask = labels == object_id
    np.testing.assert_array_equal(rle.decode(encoded.counts, *mask.shape), mask)
    assert encoded.area == mask.sum()


@given(labels=LABELS, object_id=st.sampled_from(IDS))
def test_the_box_is_tight(labels: Labels, object_id: int) -> None:
    mask = labels == object_id
    (encoded,) = rle.encode(labels, [object_id])
    if not mask.any():
        assert encoded.box is None
        return
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    assert encoded.box == (columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1)


def test_counts_are_column_major_with_the_background_first() -> None:
    labels = np.array([[0, 1], [0, 1], [1, 0]], np.int32)
    # two background, then three foreground down the columns, then one background: "231" as COCO writes it
    assert rle.encode(labels, [1])[0].counts == "231"


def test_a_frame_without_objects_has_no_masks() -> None:
    assert rle.encode(np.zeros((3, 4), np.int32), []) == []


def test_the_longest_counts_of_a_large_frame() -> None:
    labels = np.zeros((4096, 4096), np.int32)
    labels[0, 0] = labels[2000, 1000] = labels[4095, 4095] = 1
    assert rle.encode(labels, [1, 2]) == [of_pycocotools(labels == 1), of_pycocotools(labels == 2)]
