"""Checksums of FFV1: every flipped bit is found, and nothing where there are none."""

from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.input.ffv1 import SliceChecksums
from tests.pipeline.media import moving_square, write_video

FRAMES = moving_square(6, 32, 48)


def packets(path: Path) -> list[bytes]:
    with av.open(path) as container:
        return [bytes(packet) for packet in container.demux(video=0)]


@pytest.fixture(scope="module", params=[1, 4])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Of six frames, and the empty one at the end."""
    options = {"level": "3", "slices": "4", "slicecrc": "1"} if request.param == 4 else {"level": "3", "slicecrc": "1"}
    return packets(write_video(tmp_path_factory.mktemp("v") / "v.mkv", FRAMES, codec="ffv1", options=options))


def found(stream: list[bytes]) -> list[bool]:
    checksums = SliceChecksums()
    return [checksums.find_damage(packet) for packet in stream]


def test_whole_packets_are_whole(whole: list[bytes]) -> None:
    assert len(whole) == 7 and not any(found(whole))


@given(st.data())
def test_every_flipped_bit_is_found(whole: list[bytes], data: st.DataObject) -> None:
    """In the first packet, which may be of a stream without checksums, one packet later."""
    number = data.draw(st.integers(0, 5))
    bit = data.draw(st.integers(0, 8 * len(whole[number]) - 1))
    flipped = bytearray(whole[number])
    flipped[bit // 8] ^= 1 << bit % 8
    stream = [*whole[:number], bytes(flipped), *whole[number + 1 :]]
    assert [at for at, damaged in enumerate(found(stream)) if damaged] == [number or 1]


@given(st.data())
def test_a_cut_in_a_slice_is_found(whole: list[bytes], data: st.DataObject) -> None:
    """Where whole slices are missing, the decoder sees that they are too few."""
    missing = data.draw(st.integers(1, 20))
    assert found([*whole[:3], whole[3][:-missing], *whole[4:]])[3]


@pytest.mark.parametrize("options", [{"level": "1"}, {"level": "3", "slicecrc": "0"}])
def test_streams_without_checksums_are_not_judged(tmp_path: Path, options: dict[str, str]) -> None:
    stream = packets(write_video(tmp_path / "v.mkv", FRAMES, codec="ffv1", options=options))
    assert not any(found([b"damaged", *stream]))


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_garbage_is_not_judged(stream: list[bytes]) -> None:
    assert not any(found(stream))
