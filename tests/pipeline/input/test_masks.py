import io
import struct
import tracemalloc
import zlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import InvalidPrompt
from pipeline.input.manifest import PromptSource, VideoTask
from pipeline.input.masks import ids_in, load_prompts, read_mask

IDS = np.array([[0, 1, 1, 0], [0, 3, 3, 0], [7, 7, 0, 0]])


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def grey(labels: NDArray[np.integer]) -> bytes:
    return saved(Image.fromarray(labels.astype(np.uint8 if labels.max() < 256 else np.uint16)))


def palette(labels: NDArray[np.integer], bits: int = 8) -> bytes:
    image = Image.fromarray(labels.astype(np.uint8), "L").convert("P")
    image.putpalette([value for index in range(2**bits) for value in (255 - index, index, 90)])
    image.putdata(labels.ravel().tolist())
    return saved(image, bits=bits)


def png_of_few_bits(labels: NDArray[np.integer], bits: int) -> bytes:
    """A grey PNG of 1, 2 or 4 bits, which Pillow reads but writes only at 1."""
    height, width = labels.shape
    packed = bytearray()
    for row in labels.tolist():
        text = "".join(f"{value:0{bits}b}" for value in row)
        text += "0" * (-len(text) % 8)
        packed += b"\0" + bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(packed))) + chunk(b"IEND", b"")


def disc(value: int, radius: int = 40) -> NDArray[np.uint8]:
    picture = np.zeros((120, 160), np.uint8)
    cv2.circle(picture, (80, 60), radius, value, -1)
    return picture


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


def task(folder: Path, *masks: tuple[int, NDArray[np.integer], tuple[int, ...] | None]) -> VideoTask:
    sources = []
    for number, (frame_index, labels, object_ids) in enumerate(masks):
        path = folder / f"{number}.png"
        path.write_bytes(grey(labels))
        sources.append(PromptSource(frame_index=frame_index, mask_uri=f"file://{path}", object_ids=object_ids))
    return VideoTask(video_id="clip", video_uri="file:///clip.mp4", prompts=tuple(sources), row=12)


def test_a_prompt_speaks_for_the_ids_of_its_mask(tmp_path: Path) -> None:
    prompts = load_prompts(task(tmp_path, (0, IDS, None), (4, IDS // 7 * 9, None)), 3, 4)
    assert {frame: prompt.object_ids for frame, prompt in prompts.items()} == {0: (1, 3, 7), 4: (9,)}
    np.testing.assert_array_equal(prompts[0].labels, IDS)
    assert prompts.object_ids == (1, 3, 7, 9)


def test_named_ids_leave_others_out_and_may_be_absent(tmp_path: Path) -> None:
    labels = np.array([[1, 3, 255, 0]])
    prompt = load_prompts(task(tmp_path, (2, labels, (3, 5))), 1, 4)[2]
    assert prompt.object_ids == (3, 5)
    np.testing.assert_array_equal(prompt.labels, [[0, 3, 255, 0]])


def test_an_empty_mask_says_that_the_named_object_is_not_there(tmp_path: Path) -> None:
    prompt = load_prompts(task(tmp_path, (2, np.zeros((2, 2), int), (4,))), 2, 2)[2]
    assert prompt.object_ids == (4,)
    assert not prompt.labels.any()


def test_masks_of_one_frame_are_combined(tmp_path: Path) -> None:
    one = np.array([[1, 1, 255, 255, 0, 0, 2]])
    other = np.array([[0, 255, 2, 255, 255, 2, 0]])
    prompts = load_prompts(task(tmp_path, (0, one, (1,)), (0, other, (2,))), 1, 7)
    assert prompts[0].object_ids == (1, 2)
    np.testing.assert_array_equal(prompts[0].labels, [[1, 1, 2, 255, 255, 2, 0]])


def test_binary_masks_load_as_object_one(tmp_path: Path) -> None:
    prompt = load_prompts(task(tmp_path, (0, disc(255), None)), 120, 160, binary_masks=True)[0]
    assert prompt.object_ids == (1,)


@pytest.mark.parametrize(
    ("masks", "expected"),
    [
        ([(0, np.ones((3, 5), int), None)], "5 x 3, the video 4 x 3.*make the mask in the video's size"),
        ([(0, np.zeros((3, 4), int), None)], "has no object"),
        ([(0, IDS, (1,)), (0, np.where(IDS == 1, 2, 0), (2,))], "frame 0: its masks give 2 pixels to two objects"),
        ([(0, np.where(IDS == 1, 255, 0), None)], "--binary-masks"),
    ],
)
def test_faults_name_row_and_video(tmp_path: Path, masks: list, expected: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(InvalidPrompt, match=f"^row 12: video 'clip': .*{expected}"):
        load_prompts(task(tmp_path, *masks), 3, 4)


def test_a_missing_mask_names_row_video_and_uri(tmp_path: Path) -> None:
    wanted = task(tmp_path, (0, IDS, None))
    (tmp_path / "0.png").unlink()
    with pytest.raises(InvalidPrompt, match=r"row 12: video 'clip': mask file://.*/0\.png: no such file"):
        load_prompts(wanted, 3, 4)


def test_a_folder_as_mask_names_row_and_video(tmp_path: Path) -> None:
    wanted = task(tmp_path, (0, IDS, None))
    (tmp_path / "0.png").unlink()
    (tmp_path / "0.png").mkdir()
    with pytest.raises(InvalidPrompt, match=r"row 12: video 'clip': .*is a folder"):
        load_prompts(wanted, 3, 4)


def test_prompts_of_a_long_video_stay_compressed(tmp_path: Path) -> None:
    """Sixty label maps of 1080 x 1920 would be 498 MB."""
    labels = np.zeros((1080, 1920), np.uint8)
    labels[200:900, 300:1500] = 4
    (tmp_path / "m.png").write_bytes(grey(labels))
    source = PromptSource(frame_index=0, mask_uri=f"file://{tmp_path}/m.png")
    sources = tuple(replace(source, frame_index=10 * number) for number in range(60))
    long = VideoTask(video_id="clip", video_uri="file:///clip.mp4", prompts=sources)
    tracemalloc.start()
    try:
        prompts = load_prompts(long, 1080, 1920)
        held, _ = tracemalloc.get_traced_memory()
        np.testing.assert_array_equal(prompts[590].labels, labels)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(prompts) == 60
    assert held < 20e6 and after < 20e6


def test_prompts_are_a_mapping_by_frame(tmp_path: Path) -> None:
    prompts = load_prompts(task(tmp_path, (2, IDS, (1, 7)), (5, IDS, (3,)), (9, IDS, (1,))), 3, 4)
    assert list(prompts) == [2, 5, 9] and len(prompts) == 3
    assert (5 in prompts, 4 in prompts) == (True, False)
    assert prompts.get(4) is None
    with pytest.raises(KeyError):
        prompts[4]
    assert [prompt.object_ids for prompt in prompts.values()] == [(1, 7), (3,), (1,)]
    assert prompts.object_ids == (1, 3, 7)
    first, again = prompts[2], prompts[2]
    first.labels[:] = 0
    np.testing.assert_array_equal(again.labels, np.where(IDS == 3, 0, IDS))
    np.testing.assert_array_equal(prompts[2].labels, again.labels)


def test_objects_that_are_named_but_not_there_are_among_the_ids(tmp_path: Path) -> None:
    prompts = load_prompts(task(tmp_path, (0, IDS, (1, 8)), (0, IDS, (3,))), 3, 4)
    assert prompts.object_ids == (1, 3, 8)
    assert prompts[0].object_ids == (1, 3, 8)


def test_every_prompt_is_checked_when_they_are_loaded(tmp_path: Path) -> None:
    wanted = task(tmp_path, (0, IDS, None), (4, np.ones((3, 5), int), None))
    with pytest.raises(InvalidPrompt, match=r"1\.png: is 5 x 3"):
        load_prompts(wanted, 3, 4)


def test_prompts_need_no_store_once_they_are_loaded(tmp_path: Path) -> None:
    prompts = load_prompts(task(tmp_path, (0, IDS, None)), 3, 4)
    (tmp_path / "0.png").unlink()
    np.testing.assert_array_equal(prompts[0].labels, IDS)
