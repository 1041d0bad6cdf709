"""The layout of DAVIS, as every command reads it."""

import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from jobs.datasets.davis import DavisSequence, annotations, mask_files, read_sequences, write_sequence
from jobs.datasets.masks import read_labels
from jobs.pictures.decode import read_picture
from pipeline.errors import InvalidInput
from pipeline.storage.store import Store
from tests.jobs.material import picture, two_boxes

FRAMES, MASKS = ("0.jpg", "1.jpg"), ("0.png",)


def put(
    root: Path | str, name: str, frames: Iterable[str] = FRAMES, masks: Iterable[str] = MASKS, level: str = ""
) -> None:
    """A sequence of empty files: none is read."""
    for part, files in (("JPEGImages", frames), ("Annotations", masks)):
        folder = Store("/".join(filter(None, [str(root), part, level, name])))
        folder.put(".made", b"")
        for file in files:
            folder.put(file, b"")


def names(found: Sequence[DavisSequence]) -> list[str]:
    return [sequence.name for sequence in found]


def set_file(root: Path, text: str) -> str:
    (root / "val.txt").write_text(text)
    return str(root / "val.txt")


class TestNames:
    def test_all_come_in_natural_order(self, tmp_path: Path) -> None:
        for name in ("v10", "v2", "v1", ".hidden"):
            put(tmp_path, name)
        assert names(read_sequences(str(tmp_path))) == ["v1", "v2", "v10"]

    def test_listed_ones_come_as_listed_and_once(self, tmp_path: Path) -> None:
        for name in ("v10", "v2", "v1"):
            put(tmp_path, name)
        listed = set_file(tmp_path, "v10\n\n  v1 \r\nv10\n")
        assert names(read_sequences(str(tmp_path), set_file=listed)) == ["v10", "v1"]

    def test_a_name_is_a_line_and_may_hold_spaces(self, tmp_path: Path) -> None:
        for name in ("two dogs", "two", "dogs"):
            put(tmp_path, name)
        assert names(read_sequences(str(tmp_path), set_file=set_file(tmp_path, "two dogs\n"))) == ["two dogs"]

    def test_what_is_missing_is_named_with_the_option_that_helps(self, tmp_path: Path) -> None:
        root = str(tmp_path)
        with pytest.raises(InvalidInput, match=f"{root} has no JPEGImages with folders in it: name the folder"):
            read_sequences(root)
        put(tmp_path, "dogs", level="480p")
        (tmp_path / "JPEGImages/480p/cats").mkdir()
        with pytest.raises(InvalidInput, match=r"Annotations/480p lacks the folders cats: add them, or .* with --set$"):
            read_sequences(root)
        with pytest.raises(InvalidInput, match=r"JPEGImages/480p lacks the folders frogs: .* with --validate-set$"):
            read_sequences(root, set_file=set_file(tmp_path, "dogs\nfrogs\n"), prefix="--validate-")
        with pytest.raises(InvalidInput, match="lists no sequence; write one name a line"):
            read_sequences(root, set_file=set_file(tmp_path, "\n"))
        with pytest.raises(InvalidInput, match=r"none\.txt: no such file; correct --validate-set$"):
            read_sequences(root, set_file=str(tmp_path / "none.txt"), prefix="--validate-")


class TestResolutions:
    @pytest.mark.parametrize("level", ["", "480p"])
    def test_one_need_not_be_named(self, tmp_path: Path, level: str) -> None:
        put(tmp_path, "dogs", level=level)
        (dogs,) = read_sequences(str(tmp_path))
        assert dogs.frames.url == "/".join(filter(None, [f"file://{tmp_path}/JPEGImages", level, "dogs"]))
        assert dogs.masks.url == "/".join(filter(None, [f"file://{tmp_path}/Annotations", level, "dogs"]))

    def test_one_of_several_must_be_named(self, tmp_path: Path) -> None:
        for level in ("480p", "1080p"):
            put(tmp_path, "dogs", level=level)
        for wrong in (None, "720p"):
            with pytest.raises(InvalidInput, match="the resolutions 480p, 1080p: choose one with --resolution"):
                read_sequences(str(tmp_path), resolution=wrong)
        (dogs,) = read_sequences(str(tmp_path), resolution="1080p")
        assert dogs.frames.url.endswith("JPEGImages/1080p/dogs") and dogs.masks.url.endswith("Annotations/1080p/dogs")

    def test_where_there_is_none_none_may_be_named(self, tmp_path: Path) -> None:
        put(tmp_path, "dogs")
        with pytest.raises(InvalidInput, match="no resolution folders: leave out --validate-resolution"):
            read_sequences(str(tmp_path), resolution="480p", prefix="--validate-")

    def test_an_empty_one_is_named(self, tmp_path: Path) -> None:
        put(tmp_path, "dogs", level="480p")
        (tmp_path / "JPEGImages/720p").mkdir()
        with pytest.raises(InvalidInput, match="JPEGImages/720p has no sequence"):
            read_sequences(str(tmp_path), resolution="720p")


class TestFrames:
    def test_they_are_pictures_of_any_kind_in_natural_order(self, tmp_path: Path) -> None:
        put(tmp_path, "dogs", ["f10.JPG", "f9.jpeg", "f11.png", "notes.txt"], ["f10.png", "f11.PNG"])
        (dogs,) = read_sequences(str(tmp_path))
        assert dogs.frame_names == ["f9.jpeg", "f10.JPG", "f11.png"]
        assert dogs.mask_names == {1: "f10.png", 2: "f11.PNG"}

    def test_masks_may_lie_on_some_of_them(self, tmp_path: Path) -> None:
        put(tmp_path, "walk", [f"{t:05d}.jpg" for t in range(11)], ["00010.png", "00000.png", "00005.png"])
        (walk,) = read_sequences(str(tmp_path))
        assert list(walk.mask_names.items()) == [(0, "00000.png"), (5, "00005.png"), (10, "00010.png")]

    @pytest.mark.parametrize(
        ("frames", "masks", "said"),
        [
            (["0.jpg"], ["0.png", "9.png"], r"Annotations/dogs: no frames belong to 9\.png; names must match"),
            ([], ["0.png"], r"Annotations/dogs: no frames belong to 0\.png"),
            (["0.jpg"], [], "Annotations/dogs: holds no mask; add some, or leave dogs out with --set"),
            (["0.jpg", "0.png"], ["0.png"], "JPEGImages/dogs: frames share a name up to the suffix; remove the copies"),
            (["0.jpg"], ["0.png", "0.PNG"], "Annotations/dogs: masks share a name up to the suffix"),
        ],
    )
    def test_what_does_not_fit_together_is_named(self, frames: list[str], masks: list[str], said: str) -> None:
        root = f"memory://{uuid.uuid4().hex}"
        put(root, "dogs", frames, masks)
        with pytest.raises(InvalidInput, match=said):
            read_sequences(root)


class TestAnnotations:
    def test_they_need_no_frames(self, tmp_path: Path) -> None:
        folder = tmp_path / "Annotations/480p/dogs"
        folder.mkdir(parents=True)
        for name in ("10.png", "9.png", "notes.txt"):
            (folder / name).touch()
        found = annotations(str(tmp_path))
        assert found.url == f"file://{tmp_path}/Annotations/480p"
        assert mask_files(found, "dogs") == ["9.png", "10.png"]
        assert mask_files(found, "cats") == []

    def test_their_resolution_is_found_as_that_of_the_frames(self, tmp_path: Path) -> None:
        for level in ("half", "full"):
            (tmp_path / "Annotations" / level / "dogs").mkdir(parents=True)
        assert annotations(str(tmp_path), "half").url.endswith("Annotations/half")
        with pytest.raises(InvalidInput, match="the resolutions full, half: choose one with --resolution"):
            annotations(str(tmp_path))


def test_what_is_written_is_read_again() -> None:
    root = f"memory://{uuid.uuid4().hex}"
    frames, labels = [picture(1), picture(2)], [two_boxes(), two_boxes()[::-1]]
    write_sequence(Store(root), "a", frames, labels)
    (found,) = read_sequences(root)
    for t in range(2):
        shown = read_picture(found.frames, found.frame_names[t]).astype(int)
        assert np.abs(shown - frames[t]).mean() < 4
        np.testing.assert_array_equal(read_labels(found.masks, found.mask_names[t]), labels[t])
