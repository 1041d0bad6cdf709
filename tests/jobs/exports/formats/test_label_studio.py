import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.typing import NDArray

from jobs.exports.formats.label_studio import brush_runs
from tests.jobs.exports.outputs import Output, exported, same


def decoded(runs: NDArray[np.uint8], height: int, width: int) -> NDArray[np.bool_]:
    """As the encoding is described: a reader of bits, slow and plain."""
    bits = "".join(f"{byte:08b}" for byte in runs)
    place = 0

    def read(count: int) -> int:
        nonlocal place
        place += count
        return int(bits[place - count : place], 2)

    total, word = read(32), read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < total:
        assert read(1) == 1
        length = read(sizes[read(2)]) + 1
        values += [read(word)] * length
    pixels = np.array(values, np.uint8).reshape(height, width, 4)
    assert (pixels == pixels[..., :1]).all()
    assert set(np.unique(pixels)) <= {0, 255}
    return pixels[..., 3] == 255


def test_every_pixel_is_there(output: Output, tmp_path: Path) -> None:
    exported(output, "label-studio", tmp_path / "to")
    found = {}
    for task in json.loads((tmp_path / "to/tasks.json").read_text()):
        (prediction,) = task["predictions"]
        for region in prediction["result"]:
            pixels = decoded(region["value"]["rle"], region["original_height"], region["original_width"])
            found[task["data"]["video_id"], task["data"]["frame_index"], region["meta"]["object_id"]] = pixels
    assert same(found, output.truth)


@given(st_numpy.arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_any_mask_comes_back(mask: NDArray[np.bool_]) -> None:
    assert np.array_equal(decoded(brush_runs(mask), *mask.shape), mask)


@pytest.mark.parametrize("longest", [16_384, 16_385, 32_768, 40_000])
def test_runs_longer_than_a_length_can_be_written(longest: int) -> None:
    mask = np.zeros((1, longest + 5), bool)
    mask[0, :longest] = True
    assert np.array_equal(decoded(brush_runs(mask), *mask.shape), mask)


def test_the_queue_begins_with_what_is_doubtful(output: Output, tmp_path: Path) -> None:
    exported(output, "label-studio", tmp_path / "to")
    tasks = json.loads((tmp_path / "to/tasks.json").read_text())
    # Frame 2 of the folder has three objects, the last of them uncertain by 0.2.
    scores = {
        (task["data"]["video_id"], task["data"]["frame_index"]): task["predictions"][0]["score"] for task in tasks
    }
    assert scores["walk", 2] == pytest.approx(0.8)
    assert scores["walk", 0] == pytest.approx(0.9)


def test_the_set_up_names_the_classes_and_what_regions_refer_to(output: Output, tmp_path: Path) -> None:
    exported(output, "label-studio", tmp_path / "to", manifest=output.manifest, classes=True)
    root = ElementTree.parse(tmp_path / "to/labels.xml").getroot()
    labels = {label.attrib["value"] for label in root.iter("Label")}
    region = json.loads((tmp_path / "to/tasks.json").read_text())[0]["predictions"][0]["result"][0]
    assert set(region["value"]["brushlabels"]) <= labels
    names = [element.attrib["name"] for element in root if "name" in element.attrib]
    assert names == [region["to_name"], region["from_name"]]
