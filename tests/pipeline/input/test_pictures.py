"""What headers of pictures say, and that nothing else is needed to know it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.input.pictures import is_cut, most_bytes, size_of
from tests.pipeline.input.pngs import bomb, saved


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_the_size_is_that_of_the_picture(kind: str, mode: str) -> None:
    data = saved(Image.new(mode, (30, 20)), kind)
    assert size_of(data) == (20, 30)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_header_is_enough(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3)).astype(np.uint8)
    data = saved(Image.fromarray(noise), kind)
    assert size_of(data[: len(data) // 2]) == (200, 300)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_size_is_told_however_large(kind: str) -> None:
    assert size_of(bomb(kind, 60_000, 50_000)) == (60_000, 50_000)


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"GIF89a", saved(Image.new("L", (4, 4)), "BMP")]
)
def test_what_is_no_jpeg_or_png_has_no_size(data: bytes) -> None:
    assert size_of(data) is None


@given(st.data())
def test_damaged_headers_have_a_size_or_none(data: st.DataObject) -> None:
    damaged = bytearray(
        data.draw(st.sampled_from([saved(Image.new("P", (9, 7)), "PNG"), saved(Image.new("L", (9, 7)), "JPEG")]))
    )
    for at in data.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=3)):
        damaged[at] = data.draw(st.integers(0, 255))
    size_of(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))


@given(st.data())
def test_a_png_is_cut_where_a_chunk_claims_more_than_there_is(data: st.DataObject) -> None:
    whole = saved(Image.new("P", (9, 7)), "PNG")
    assert not is_cut(whole) and not is_cut(whole + b"behind the end")
    assert is_cut(whole[: data.draw(st.integers(9, len(whole) - 13))])
    at = whole.index(b"IDAT") - 4
    assert is_cut(whole[:at] + b"\x1e" + whole[at + 1 :])
    assert not is_cut(saved(Image.new("L", (9, 7)), "JPEG")[:50])


@given(height=st.integers(1, 60), width=st.integers(1, 60), bits=st.sampled_from([8, 16]))
def test_no_picture_has_more_bytes(height: int, width: int, bits: int) -> None:
    noise = np.random.default_rng(height).integers(0, 2**bits, (height, width))
    data = saved(Image.fromarray(noise.astype(np.uint8 if bits == 8 else np.uint16)), compress_level=0)
    assert len(data) <= most_bytes(height * width)
    assert most_bytes(8192 * 8192) < 1 << 30
