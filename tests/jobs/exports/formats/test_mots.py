from pathlib import Path

import cv2
import numpy as np
import pytest

from jobs.exports.losses import Loss
from pipeline.output import rle
from pipeline.output.marker import claim_output
from pipeline.storage.store import Store
from tests.jobs.exports.outputs import FOLDER, UNICODE, Output, Truth, exported, overlapping, put_video, same

FIRST = {FOLDER: 0, UNICODE: 2}


def of_pictures(to: Path) -> Truth:
    found = {}
    for path in sorted(to.glob("instances/*/*.png")):
        values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
        assert values.dtype == np.uint16
        for value in np.unique(values[values > 0]):
            key = (path.parent.name, FIRST.get(path.parent.name, 0) + int(path.stem), int(value) % 1000)
            found[key] = values == value
    return found


def of_text(to: Path) -> Truth:
    found = {}
    for path in sorted(to.glob("instances_txt/*.txt")):
        for line in path.read_text().splitlines():
            place, number, _, height, width, counts = line.split(" ")
            key = (path.stem, FIRST.get(path.stem, 0) + int(place), int(number) % 1000)
            found[key] = rle.decode(counts, int(height), int(width))
    return found


@pytest.mark.parametrize("read", [of_pictures, of_text])
def test_pictures_and_text_hold_every_pixel(output: Output, tmp_path: Path, read) -> None:  # type: ignore[no-untyped-def]
    exported(output, "mots", tmp_path / "to")
    assert same(read(tmp_path / "to"), output.truth)


def test_numbers_begin_with_the_class(output: Output, tmp_path: Path) -> None:
    exported(output, "mots", tmp_path / "to", manifest=output.manifest, classes=True)
    assert (tmp_path / "to/instances/labels.txt").read_text() == "car\nobject\npedestrian\n"
    lines = (tmp_path / f"to/instances_txt/{FOLDER}.txt").read_text().splitlines()
    assert [line.split()[1:3] for line in lines[:2]] == [["1001", "1"], ["3300", "3"]]


def test_masks_of_the_text_never_overlap(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "out"))
    claim_output(store)
    put_video(store, "v", overlapping())
    written = exported(store.url, "mots", tmp_path / "to")
    found = of_text(tmp_path / "to")
    assert same(found, of_pictures(tmp_path / "to"))
    assert not (found["v", 0, 1] & found["v", 0, 2]).any()
    assert written.lost[Loss.OVERLAP] == 8


def test_ids_from_1000_on_are_replaced(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "out"))
    claim_output(store)
    put_video(store, "v", [{1000: np.ones((2, 2), bool)}])
    written = exported(store.url, "mots", tmp_path / "to")
    assert written.lost[Loss.LARGE_ID] == 1
    assert list(of_text(tmp_path / "to")) == [("v", 0, 1)]
