import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from jobs.datasets.annotations.brush import mask_of_brush
from jobs.exports.formats.label_studio import brush_runs
from pipeline.errors import InvalidInput


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_what_we_write_we_read(mask: NDArray[np.bool_]) -> None:
    assert np.array_equal(mask_of_brush(brush_runs(mask).tolist(), mask.shape, "region"), mask)


def test_long_runs() -> None:
    mask = np.zeros((300, 400), bool)
    mask[200:, :] = True
    assert np.array_equal(mask_of_brush(brush_runs(mask).tolist(), mask.shape, "region"), mask)


def test_bytes_that_differ_are_not_repeated() -> None:
    """A picture of one painted pixel whose four channels stand one by one."""
    bits = (
        f"{4:032b}{7:05b}{2:04b}{3:04b}{7:04b}{15:04b}"
        + "000"
        + f"{3:03b}"
        + "".join(f"{v:08b}" for v in (7, 8, 9, 200))
    )
    data = [int(bits[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(bits), 8)]
    assert mask_of_brush(data, (1, 1), "region").tolist() == [[True]]


@given(st.lists(st.integers(0, 255), max_size=40))
def test_anything_else_is_refused_or_a_mask(data: list[int]) -> None:
    try:
        assert mask_of_brush(data, (2, 3), "region").shape == (2, 3)
    except InvalidInput as error:
        assert str(error).startswith("region: ")


@pytest.mark.parametrize("data", [None, "text", [1.5], [-1], [256], [True, "x"]])
def test_what_are_no_bytes_is_refused(data: object) -> None:
    with pytest.raises(InvalidInput, match="region: rle is no list of bytes; export it again as JSON"):
        mask_of_brush(data, (2, 3), "region")
