"""Run lengths of COCO: read as its library writes them, whatever else is put there refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco

from pipeline.errors import InvalidPrompt
from pipeline.input.run_lengths import compressed, mask_of, uncompressed

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))


@given(SIZES, st.integers(0, 10**6), st.sampled_from([0.0, 0.05, 0.5, 1.0]))
def test_masks_of_the_library_come_back_pixel_by_pixel(size: tuple[int, int], seed: int, share: float) -> None:
    mask = (np.random.default_rng(seed).random(size) < share).astype(np.uint8)
    text = coco.encode(np.asfortranarray(mask))["counts"].decode()
    counts = uncompressed(text)
    np.testing.assert_array_equal(mask_of(counts, *size), mask)
    assert compressed(counts) == text
    assert uncompressed(counts) == counts


@pytest.mark.parametrize("count", [0, 15, 16, 17, 2**15, 2**20, 2**30])
def test_long_runs_are_read(count: int) -> None:
    assert uncompressed(compressed([1, count, 3, 5, count])) == [1, count, 3, 5, count]


@given(st.text(st.characters(min_codepoint=1, max_codepoint=200), max_size=12))
def test_any_text_is_runs_or_refused(text: str) -> None:
    """The library itself would read beyond a text that is cut."""
    try:
        counts = uncompressed(text)
    except InvalidPrompt:
        return
    assert all(count >= 0 for count in counts)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ("`", "ends in the middle of a number"),
        ("é", "no text of COCO's"),
        ("````````1", "no text of COCO's"),
        ("O", "a run of -1 pixels"),
        ([3, -1], "expected COCO's text or a list of run lengths"),
        ([3, 1.5], "expected COCO's text or a list of run lengths"),
        ([True], "expected COCO's text or a list of run lengths"),
        (None, "expected COCO's text or a list of run lengths"),
        ({"a": 1}, "expected COCO's text or a list of run lengths"),
    ],
)
def test_what_is_wrong_is_named(counts: object, expected: str) -> None:
    with pytest.raises(InvalidPrompt, match=f"^rle: .*{expected}"):
        uncompressed(counts)
