"""Tensors packed into one line of bytes come back as they were."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.parcel import Parcel
from tests.model.recorders import Operations

KINDS = [torch.uint8, torch.int16, torch.int32, torch.int64, torch.float32, torch.bool]


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.lists(st.integers(0, 4), max_size=3)), min_size=1, max_size=6))
def test_what_is_packed_comes_back(plan: list[tuple[torch.dtype, list[int]]]) -> None:
    contents = [torch.randint(0, 2, shape).to(kind) for kind, shape in plan]
    parcel = Parcel(contents)
    for found, given_ in zip(parcel.opened(parcel.send().fetch()), contents, strict=True):
        assert (found.dtype, found.shape) == (given_.numpy().dtype, tuple(given_.shape))
        np.testing.assert_array_equal(found, given_.numpy())


def test_what_was_opened_may_be_written_to_and_belongs_to_nobody_else() -> None:
    parcel = Parcel([torch.zeros(3, dtype=torch.uint8)])
    line = parcel.send().fetch()
    parcel.opened(line)[0][:] = 1
    assert not parcel.opened(line)[0].any()


@pytest.mark.parametrize("parts", [1, 5])
def test_everything_goes_in_one_transfer(parts: int) -> None:
    with Operations() as operations:
        Parcel([torch.empty(2, 3, device="meta") for _ in range(parts)])
    assert operations.names.count("aten.cat.default") == 1
