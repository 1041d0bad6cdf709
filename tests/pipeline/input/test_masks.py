"""Label PNGs: what is stored, what is refused."""

import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.ImageFile import ImageFile

from pipeline.errors import InvalidPrompt
from pipeline.input.masks import ids_in, read_mask
from tests.pipeline.input.pngs import IDS, bomb, disc, grey, palette, png_of_few_bits, saved


@pytest.mark.parametrize(
    "data",
    [grey(IDS), palette(IDS), palette(IDS, bits=4), png_of_few_bits(IDS, 4)],
    ids=["grey", "palette", "palette4", "grey4"],
)
def test_the_stored_sample_is_the_id(data: bytes) -> None:
    labels = read_mask(data, "a.png")
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, IDS)


@pytest.mark.parametrize("bits", [1, 2])
def test_narrow_grey_masks_hold_small_ids(bits: int) -> None:
    labels = np.arange(2**bits).reshape(1, -1)
    np.testing.assert_array_equal(read_mask(png_of_few_bits(labels, bits), "a.png"), labels)


def test_sixteen_bits_hold_large_ids_and_255_stays_void() -> None:
    labels = np.array([[0, 1, 255, 256, 65535]])
    read = read_mask(grey(labels), "a.png")
    np.testing.assert_array_equal(read, labels)
    assert ids_in(read) == (1, 256, 65535)


@given(st.lists(st.sampled_from([0, 1, 2, 3, 9, 200, 254, 255]), min_size=4, max_size=4), st.booleans())
def test_masks_of_solid_objects_are_read_as_they_are(values: list[int], coloured: bool) -> None:
    labels = np.kron(np.array(values).reshape(2, 2), np.ones((5, 7), int))
    data = palette(labels) if coloured else grey(labels)
    if set(values) <= {0, 255} and 255 in values:
        with pytest.raises(InvalidPrompt, match="--binary-masks"):
            read_mask(data, "a.png")
    else:
        np.testing.assert_array_equal(read_mask(data, "a.png"), labels)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (saved(Image.new("RGB", (4, 4))), "is RGB.*palette or grey"),
        (saved(Image.new("RGBA", (4, 4))), "is RGBA.*palette or grey"),
        (saved(Image.new("LA", (4, 4))), "is grey with an alpha channel.*palette or grey"),
        (saved(Image.new("L", (4, 4)), "JPEG"), "is a JPEG"),
        (saved(Image.new("L", (4, 4)), "BMP"), "is not a PNG"),
        (b"", "is not a PNG"),
        (grey(IDS)[:-30], "is a broken PNG"),
    ],
    ids=["rgb", "rgba", "alpha", "jpeg", "bmp", "empty", "cut"],
)
def test_what_is_no_label_map_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidPrompt, match=f"^row 4: {reason}"):
        read_mask(data, "row 4")


@given(st.data())
def test_damaged_files_are_refused_or_read_but_never_crash(data: st.DataObject) -> None:
    damaged = bytearray(palette(IDS))
    for at in data.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=3)):
        damaged[at] = data.draw(st.integers(0, 255))
    try:
        read_mask(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]), "a.png")
    except InvalidPrompt as error:
        assert str(error).startswith("a.png: ")


@pytest.mark.parametrize(
    ("size", "reason"),
    [(None, "is 50000 x 60000, more than the 67108864 pixels"), ((3, 4), "is 50000 x 60000, the video 4 x 3")],
)
def test_a_mask_is_refused_by_its_header(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int] | None, reason: str
) -> None:
    monkeypatch.delattr(ImageFile, "load")  # what decodes
    with pytest.raises(InvalidPrompt, match=rf"^a\.png: {reason}"):
        read_mask(bomb("PNG", 60_000, 50_000), "a.png", size=size)


def test_the_size_that_is_read_is_the_size_that_is_decoded() -> None:
    twice = grey(np.zeros((3, 4), int))[:33] + bomb("PNG", 60_000, 50_000)[8:]
    with pytest.raises(InvalidPrompt, match=r"^a\.png: is 50000 x 60000"):
        read_mask(twice, "a.png", size=(3, 4))


def test_binary_masks_are_refused_unless_asked_for() -> None:
    data = saved(Image.fromarray(disc(255)))
    with pytest.raises(InvalidPrompt, match=r"0 and 255.*--binary-masks"):
        read_mask(data, "a.png")
    np.testing.assert_array_equal(read_mask(data, "a.png", binary_masks=True), disc(1))


def test_binary_masks_of_one_bit_need_no_255() -> None:
    data = saved(Image.fromarray(disc(255)).convert("1"))
    np.testing.assert_array_equal(read_mask(data, "a.png", binary_masks=True), disc(1))


def test_a_binary_mask_without_the_object_is_empty() -> None:
    assert not read_mask(grey(np.zeros((4, 4), int)), "a.png", binary_masks=True).any()


def test_ids_in_a_binary_mask_are_refused() -> None:
    with pytest.raises(InvalidPrompt, match="holds 1, 3, 7 besides 0 and 255"):
        read_mask(grey(IDS), "a.png", binary_masks=True)


@pytest.mark.parametrize("value", [255, 200, 20])
@pytest.mark.parametrize(
    "smooth",
    [
        lambda picture: cv2.GaussianBlur(picture, (0, 0), 2.0),
        lambda picture: cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
        lambda picture: cv2.resize(picture, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_LINEAR),
        lambda picture: cv2.resize(picture, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC),
        lambda picture: np.asarray(Image.open(io.BytesIO(saved(Image.fromarray(picture), "JPEG", quality=90)))),
    ],
    ids=["blur", "half", "linear", "cubic", "jpeg"],
)
def test_smoothed_masks_are_refused(smooth, value: int) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidPrompt, match="anti-aliased or lossily compressed"):
        read_mask(saved(Image.fromarray(smooth(disc(value)))), "a.png")


@pytest.mark.parametrize("side", [1, 2, 5])
@pytest.mark.parametrize("number", [3, 40, 600])
def test_crowds_of_small_objects_are_masks(number: int, side: int) -> None:
    rng = np.random.default_rng(0)
    labels = np.zeros((200, 300), int)
    for value in range(1, number + 1):
        y, x = rng.integers(0, 200 - side), rng.integers(0, 300 - side)
        labels[y : y + side, x : x + side] = value + 1000
    np.testing.assert_array_equal(read_mask(grey(labels), "a.png"), labels)


def test_objects_that_touch_in_rising_order_are_a_mask() -> None:
    labels = np.repeat(np.arange(50)[None], 20, axis=0).repeat(3, axis=1)
    np.testing.assert_array_equal(read_mask(grey(labels), "a.png"), labels)
