import uuid

import cv2
import numpy as np
import pytest

from jobs.pictures.decode import decode_picture, read_picture
from pipeline.errors import InvalidInput
from pipeline.storage.store import Store
from tests.jobs.material import picture

SCENE = picture(2)


def encoded(suffix: str) -> bytes:
    return cv2.imencode(suffix, SCENE[..., ::-1])[1].tobytes()


def test_files_are_decoded_as_rgb() -> None:
    np.testing.assert_array_equal(decode_picture(encoded(".png"), "a.png"), SCENE)
    assert np.abs(decode_picture(encoded(".jpg"), "a.jpg").astype(int) - SCENE).mean() < 3


def test_grey_becomes_rgb() -> None:
    data = cv2.imencode(".png", SCENE[..., 0])[1].tobytes()
    np.testing.assert_array_equal(decode_picture(data, "a.png"), np.repeat(SCENE[..., :1], 3, axis=2))


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5])
def test_a_damaged_file_is_named(suffix: str, kept: float) -> None:
    data = encoded(suffix)
    with pytest.raises(InvalidInput, match=r"^walk/00005: is no whole JPEG or PNG picture; export or copy it again$"):
        decode_picture(data[: int(kept * len(data))], "walk/00005")


def test_a_file_of_a_store_is_named_by_its_url() -> None:
    store = Store(f"memory://{uuid.uuid4().hex}")
    store.put("images/a.png", encoded(".png"))
    np.testing.assert_array_equal(read_picture(store, "images/a.png"), SCENE)
    store.put("images/a.png", b"no picture")
    with pytest.raises(InvalidInput, match=f"^{store.url}/images/a.png: is no whole"):
        read_picture(store, "images/a.png")
    with pytest.raises(FileNotFoundError):
        read_picture(store, "images/b.png")
