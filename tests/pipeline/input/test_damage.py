"""Whatever is damaged in a file, what comes out is an error of ours that names it: no other error, no death of the
process, no hang, and at most twice the memory that whole files take."""

import io
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model import checkpoint
from pipeline.input.manifest_files import write_rows
from tests.pipeline.input.pngs import grey, palette
from tests.pipeline.input.reader import SIZE, Reader
from tests.pipeline.media import moving_square, write_picture, write_video
from tests.properties import costly

CONTAINERS = {
    "mp4": "libx264 libx265 mpeg4 libvpx-vp9 libsvtav1 ffv1",
    "mov": "libx264 prores_ks cfhd cinepak png qtrle rpza svq1 jpeg2000 dpx exr tiff targa sgi dxv avrp v210 r10k gif",
    "mkv": "libx264 ffv1 libvpx libsvtav1 mpeg4 mpeg2video snow",
    "webm": "libvpx libvpx-vp9 libsvtav1",
    "avi": "libx264 mpeg4 mjpeg huffyuv ffvhuff utvideo magicyuv snow h263p msmpeg4 msmpeg4v2 zlib rawvideo msvideo1 "
    "asv1 asv2 amv cljr flashsv flv speedhq ffv1",
    "ts": "libx264 libx265 mpeg2video mpeg1video",
    "mpg": "mpeg1video mpeg2video libx264",
    "flv": "libx264 flv flashsv flashsv2",
    "asf": "wmv1 wmv2 msmpeg4 libx264",
    "mxf": "mpeg2video libx264 ffv1 prores_ks jpeg2000",
    "nut": "libx264 rawvideo ffv1 mpeg4",
    "ivf": "libvpx libvpx-vp9 libsvtav1",
    "wtv": "libx264 mpeg4",
    "rm": "rv10 rv20",
    "obu": "libsvtav1",
    "gif": "gif",
    "apng": "apng",
    "3gp": "libx264",
    "h264": "libx264",
    "hevc": "libx265",
    "m4v": "mpeg4",
    "m1v": "mpeg1video",
    "m2v": "mpeg2video",
    "y4m": "rawvideo",
}
"""What PyAV writes, by the ending of the file; codecs that this build does not have are left out."""
VIDEOS = [
    (f"v.{end}", codec)
    for end, codecs in CONTAINERS.items()
    for codec in codecs.split()
    if codec in av.codecs_available
]
ROWS = [
    {"video_id": "a", "video_uri": "a.mp4", "prompts": [{"frame_index": 0, "mask_uri": "a.png", "object_ids": [1, 2]}]},
    {
        "video_id": "ö",
        "video_uri": "s3://b/ö",
        "prompts": [{"frame_index": 7, "mask_uri": "b.png"}],
        "start_frame": 3,
    },
] * 2
LABELS = np.kron(np.array([[0, 1, 2, 0], [3, 3, 0, 255]]), np.ones((SIZE[0] // 2, SIZE[1] // 4), int))

Damage = tuple[list[tuple[int, int]], int | None]
"""Places and what is done to the byte there; how much of the file is left in thousandths."""
PLACES = st.integers(0, 300) | st.integers(0, 10**9)
DAMAGES: st.SearchStrategy[Damage] = st.tuples(
    st.lists(st.tuples(PLACES, st.integers(1, 255)), max_size=12), st.none() | st.integers(0, 999)
)


def damaged(data: bytes, damage: Damage) -> bytes:
    changes, left = damage
    copy = bytearray(data)
    for place, change in changes:
        copy[place % len(copy)] ^= change
    return bytes(copy if left is None else copy[: len(copy) * left // 1000])


@lru_cache
def video(name: str, codec: str) -> bytes:
    formats = [pixels.name for pixels in av.Codec(codec, "w").video_formats or []]
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p" if "yuv420p" in formats or not formats else formats[0]
    options = {"x265-params": "log-level=none"} if codec == "libx265" else None
    with TemporaryDirectory() as folder:
        path = write_video(Path(folder) / name, moving_square(5, *SIZE), codec=codec, pix_fmt=pix_fmt, options=options)
        return path.read_bytes()


@lru_cache
def picture(name: str) -> bytes:
    with TemporaryDirectory() as folder:
        return write_picture(Path(folder) / name, moving_square(1, *SIZE)[0]).read_bytes()


@lru_cache
def manifest(name: str) -> bytes:
    return write_rows(name, [row | {"video_id": str(n)} for n, row in enumerate(ROWS)])


@lru_cache
def weights(name: str) -> bytes:
    if name.endswith(".safetensors"):
        return checkpoint.read_boxed("lite0-open")
    stream = io.BytesIO()
    torch.save({"model": {"encoder_q.conv1.weight": torch.ones(64, 3, 7, 7), "mean": torch.zeros(3)}}, stream)
    return stream.getvalue()


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with Reader() as reader:
        reader.measure(
            *(("video", name, video(name, codec)) for name, codec in VIDEOS[:8]),
            ("frames", "0.png", picture("0.png")),
            ("mask", "m.png", grey(LABELS)),
            ("manifest", "m.parquet", manifest("m.parquet")),
            ("checkpoint", "w.safetensors", weights("w.safetensors")),
        )
        yield reader


def test_many_containers_and_codecs_are_there() -> None:
    assert len(VIDEOS) > 70


@given(kind=st.sampled_from(VIDEOS), damage=DAMAGES)
def test_videos(reader: Reader, kind: tuple[str, str], damage: Damage) -> None:
    reader.read("video", kind[0], damaged(video(*kind), damage))


@given(name=st.sampled_from(["0.png", "0.jpg"]), damage=DAMAGES)
def test_frames_of_folders(reader: Reader, name: str, damage: Damage) -> None:
    reader.read("frames", name, damaged(picture(name), damage))


@given(data=st.sampled_from([grey(LABELS), grey(LABELS * 256), palette(LABELS)]), damage=DAMAGES)
def test_masks(reader: Reader, data: bytes, damage: Damage) -> None:
    reader.read("mask", "m.png", damaged(data, damage))


@given(name=st.sampled_from(["m.jsonl", "m.csv", "m.parquet"]), damage=DAMAGES)
def test_manifests(reader: Reader, name: str, damage: Damage) -> None:
    reader.read("manifest", name, damaged(manifest(name), damage))


@costly
@given(name=st.sampled_from(["w.safetensors", "w.pth"]), damage=DAMAGES)
def test_checkpoints(reader: Reader, name: str, damage: Damage) -> None:
    reader.read("official" if name == "w.pth" else "checkpoint", name, damaged(weights(name), damage))


@given(damage=DAMAGES)
def test_headers_of_checkpoints(reader: Reader, damage: Damage) -> None:
    """Of which a safetensors file has a tenth of a percent, and all that can be misunderstood."""
    data = weights("w.safetensors")
    end = 8 + int.from_bytes(data[:8], "little")
    reader.read("checkpoint", "w.safetensors", damaged(data[:end], damage) + data[end:])


def test_the_reader_finds_what_it_looks_for() -> None:
    with Reader() as reader:
        with pytest.raises(AssertionError, match="kB, where 0 are normal"):
            reader.read("mask", "m.png", grey(LABELS))
        reader.measure(("mask", "m.png", grey(LABELS)))
        assert reader.read("mask", "m.png", b"") == "InvalidPrompt"
        with pytest.raises(AssertionError, match="! KeyError"):
            reader.read("nothing of this name", "x", b"")
