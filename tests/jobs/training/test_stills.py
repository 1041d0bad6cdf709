"""Which stills are trained on, and what is read of them."""

import json
from pathlib import Path

import numpy as np
import pytest

from jobs.training.stills import has_held_back, is_held_back, read_coco, read_stills, usable
from pipeline.errors import InvalidInput
from tests.jobs.material import held_back, labels, picture, still, trainable, two_boxes, write, write_stills


def test_held_back_stills_are_disjoint_from_the_trained_ones(tmp_path: Path) -> None:
    names = [f"still{number}" for number in range(60)]
    folder = str(write_stills(tmp_path, names))
    trained, held_back = ({one.name for one in read_stills(folder, held_back=part)} for part in (False, True))
    assert not trained & held_back
    assert trained | held_back == {f"{name}.jpg" for name in names}
    assert 1 <= len(held_back) <= 15
    assert held_back == {name for name in trained | held_back if is_held_back(name)}


def test_a_still_is_held_back_by_its_name_alone() -> None:
    assert [is_held_back(f"still{number}.jpg") for number in range(40)].count(True) == sum(
        is_held_back(f"still{number}.jpg") for number in reversed(range(40))
    )
    held = sum(is_held_back(f"{number}.jpg") for number in range(5000))
    assert 400 < held < 600


def test_a_still_is_read_with_its_mask(tmp_path: Path) -> None:
    (name,) = trainable(1)
    (found,) = read_stills(str(write_stills(tmp_path, [name])))
    assert found.name == f"{name}.jpg"
    np.testing.assert_array_equal(found.labels, two_boxes())
    assert np.abs(found.picture.astype(int) - still(0).picture).mean() < 6
    assert found.object_ids() == [1, 2]


def test_small_objects_and_void_are_not_learnt_from() -> None:
    found = labels((0, 30, 0, 40), (40, 44, 0, 10))
    found[50:, 50:] = 255
    assert still(1, found).object_ids() == [1]


def test_a_folder_without_pictures_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=rf"{tmp_path}/images: give a folder with images/ and masks/"):
        read_stills(str(tmp_path))


def test_held_back_ones_may_be_missing(tmp_path: Path) -> None:
    some = str(write_stills(tmp_path / "some", [*trainable(1), *held_back(1)]))
    none = str(write_stills(tmp_path / "none", trainable(1)))
    assert has_held_back(some) and not has_held_back(none)
    with pytest.raises(InvalidInput, match="no pictures that are held back in"):
        read_stills(none, held_back=True)


def test_without_a_large_object_it_says_so() -> None:
    empty = still(1, labels((0, 2, 0, 2)))
    assert usable([empty, still(2)])[0].name == "2.jpg"
    with pytest.raises(InvalidInput, match=r"none of 1 stills shows an object of 1\.5% of its picture"):
        usable([empty])


def coco(folder: Path, *names: str, height: int = 60, width: int = 80) -> tuple[str, str]:
    """Pictures whose left half is an object."""
    (folder / "images").mkdir()
    half = [[0, 0, width / 2, 0, width / 2, height, 0, height]]
    for name in names:
        write(folder / "images" / name, picture(1, height, width))
    content = {
        "images": [{"id": number, "file_name": name} for number, name in enumerate(names)],
        "annotations": [{"id": 1, "image_id": number, "segmentation": half} for number in range(len(names))],
    }
    (folder / "instances.json").write_text(json.dumps(content))
    return str(folder / "images"), str(folder / "instances.json")


def test_pictures_of_coco_are_held_back_by_their_names_too(tmp_path: Path) -> None:
    names = [f"{number}.jpg" for number in range(40)]
    images, annotations = coco(tmp_path, *names)
    trained = [one.name for one in read_coco(images, annotations)]
    held_back = [one.name for one in read_coco(images, annotations, held_back=True)]
    assert trained == sorted(trained) and sorted(trained + held_back) == sorted(names)
    assert held_back == [name for name in sorted(names) if is_held_back(name)] != []


def test_large_pictures_of_coco_are_made_smaller(tmp_path: Path) -> None:
    (name,) = trainable(1)
    (found,) = read_coco(*coco(tmp_path, f"{name}.jpg", height=600, width=800))
    assert found.labels.shape == found.picture.shape[:2] == (256, 341)
    assert (found.labels == 1).mean() == pytest.approx(0.5, abs=0.01)
