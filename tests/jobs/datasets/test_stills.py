"""The layout of stills."""

from pathlib import Path

import numpy as np
import pytest

from jobs.datasets.stills import picture_names, read_still
from pipeline.errors import InvalidInput, InvalidPrompt
from pipeline.storage.store import Store
from tests.jobs.material import picture, two_boxes, write, write_stills


def test_pictures_come_in_plain_order(tmp_path: Path) -> None:
    """As they always did: another order would draw other clips from the same seed."""
    write_stills(tmp_path, ["s2", "s10", "s1"])
    write(tmp_path / "images" / "s3.PNG", picture(1))
    (tmp_path / "images" / "index.csv").touch()
    (tmp_path / "images" / "more").mkdir()
    assert picture_names(Store(str(tmp_path))) == ["s1.jpg", "s10.jpg", "s2.jpg", "s3.PNG"]
    assert picture_names(Store(str(tmp_path / "masks"))) == []


def test_a_still_is_a_picture_and_its_labels(tmp_path: Path) -> None:
    write_stills(tmp_path, ["a.b"])
    shown, labels = read_still(Store(str(tmp_path)), "a.b.jpg")
    assert np.abs(shown.astype(int) - picture(0)).mean() < 6
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, two_boxes())


def test_what_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    write_stills(tmp_path, ["a", "b", "c"])
    folder = Store(str(tmp_path))
    (tmp_path / "masks/a.png").unlink()
    (tmp_path / "images/b.jpg").write_bytes(b"no picture")
    (tmp_path / "masks/c.png").write_bytes(b"no mask")
    with pytest.raises(
        InvalidInput, match=rf"{tmp_path}/masks/a\.png: no such mask; draw it, or take images/a\.jpg away"
    ):
        read_still(folder, "a.jpg")
    with pytest.raises(InvalidInput, match=rf"{tmp_path}/images/b\.jpg: is no whole JPEG or PNG picture"):
        read_still(folder, "b.jpg")
    with pytest.raises(InvalidPrompt, match=rf"{tmp_path}/masks/c\.png: is not a PNG"):
        read_still(folder, "c.jpg")
