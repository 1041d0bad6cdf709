from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from tests.jobs.exports.outputs import FOLDER, UNICODE, Output, Truth, exported, same


def masks_of(to: Path) -> Truth:
    found = {}
    for image in ElementTree.parse(to / "annotations.xml").getroot().iter("image"):
        video, _, picture = image.attrib["name"].rpartition("/")
        frame = int(picture.partition(".")[0]) - (8 if video == FOLDER else 0)
        for mask in image.iter("mask"):
            left, top, width, height = (int(mask.attrib[name]) for name in ("left", "top", "width", "height"))
            runs = [int(run) for run in mask.attrib["rle"].split(", ")]
            pixels = np.zeros((int(image.attrib["height"]), int(image.attrib["width"])), bool)
            inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
            pixels[top : top + height, left : left + width] = inside
            found[video, frame, int(mask.attrib["group_id"])] = pixels
    return found


def test_every_pixel_is_there(output: Output, tmp_path: Path) -> None:
    exported(output, "cvat", tmp_path / "to")
    assert same(masks_of(tmp_path / "to"), output.truth)


def test_labels_declare_the_attributes_that_masks_have(output: Output, tmp_path: Path) -> None:
    exported(output, "cvat", tmp_path / "to", manifest=output.manifest, classes=True)
    root = ElementTree.parse(tmp_path / "to/annotations.xml").getroot()
    declared = {
        label.findtext("name"): {attribute.findtext("name") for attribute in label.iter("attribute")}
        for label in root.iter("label")
    }
    assert declared.keys() == {"car", "object", "pedestrian"}
    for mask in root.iter("mask"):
        values = {attribute.attrib["name"]: attribute.text for attribute in mask}
        assert values.keys() <= declared[mask.attrib["label"]]
        assert values["track_id"] == mask.attrib["group_id"]


def test_images_are_counted_from_0_over_all_videos(output: Output, tmp_path: Path) -> None:
    exported(output, "cvat", tmp_path / "to")
    images = list(ElementTree.parse(tmp_path / "to/annotations.xml").getroot().iter("image"))
    assert [int(image.attrib["id"]) for image in images] == list(range(10))
    assert images[0].attrib["name"] == f"{UNICODE}/00002.jpg"
