import numpy as np
import pytest

from jobs.pictures.label_maps import as_label_map, renumbered
from pipeline.errors import InvalidInput


def test_ids_up_to_254_and_void_fit_into_a_byte() -> None:
    found = as_label_map(np.array([[0, 1], [254, 255]], np.int32), "a.png")
    assert found.dtype == np.uint8 and found.tolist() == [[0, 1], [254, 255]]


def test_larger_ids_are_refused_not_wrapped() -> None:
    with pytest.raises(InvalidInput, match=r"^a\.png: holds the id 300; number its objects from 1 to 254$"):
        as_label_map(np.array([[0, 300]], np.int32), "a.png")


def test_objects_get_their_numbers_and_others_are_void() -> None:
    found = renumbered(np.array([[0, 7], [1000, 255]], np.int32), {7: 2, 1000: 1})
    assert found.dtype == np.uint8 and found.tolist() == [[0, 2], [1, 255]]
    assert renumbered(np.array([[0, 9]], np.int32), {}).tolist() == [[0, 255]]
