import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jobs.datasets.davis import read_sequences
from jobs.datasets.manifests import build
from jobs.datasets.masks import read_labels
from jobs.exports.losses import Loss
from jobs.exports.pictures import Frames
from jobs.pictures.colours import object_colour
from pipeline.errors import InvalidInput
from pipeline.input.manifest import read_manifest
from pipeline.output.marker import claim_output
from pipeline.storage.store import Store
from tests.jobs.exports.outputs import FOLDER, Output, exported, overlapping, put_video, same, truth_of, walk


def label_maps(to: Path) -> dict[str, dict[str, np.ndarray]]:
    """What Pillow sees, by video and stem."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for path in sorted((to / "Annotations").rglob("*.png")):
        with Image.open(path) as picture:
            assert picture.mode == "P"
            found.setdefault(path.parent.name, {})[path.stem] = np.asarray(picture)
    return found


def test_every_pixel_has_its_object(output: Output, tmp_path: Path) -> None:
    exported(output, "davis", tmp_path / "to")
    numbers = {1: 1, 2: 300, 3: 3}
    first = {FOLDER: 8}  # the folder's first picture is 8.png
    found = {
        (video, int(stem) - first.get(video, 0), numbers[number]): labels == number
        for video, maps in label_maps(tmp_path / "to").items()
        for stem, labels in maps.items()
        for number in np.unique(labels)
        if number
    }
    assert same(found, output.truth)


def test_a_renumbered_object_is_told(output: Output, tmp_path: Path) -> None:
    written = exported(output, "davis", tmp_path / "to")
    assert written.lost[Loss.LARGE_ID] == 1
    assert json.loads((tmp_path / "to/object_ids.json").read_text()) == {FOLDER: {"2": 300}}


def test_viewers_show_the_colours_of_the_objects(output: Output, tmp_path: Path) -> None:
    exported(output, "davis", tmp_path / "to")
    with Image.open(tmp_path / f"to/Annotations/{FOLDER}/8.png") as picture:
        assert picture.convert("RGB").getpixel((5, 6)) == object_colour(1)


def test_frames_lie_beside_their_masks(output: Output, tmp_path: Path) -> None:
    exported(output, "davis", tmp_path / "to", manifest=output.manifest, frames=Frames.COPY)
    assert build("davis", str(tmp_path / "to"), str(tmp_path / "again.jsonl")) == 2
    tasks = {task.video_id: task for task in read_manifest(str(tmp_path / "again.jsonl"))}
    assert [prompt.object_ids for prompt in tasks[FOLDER].prompts] == [(1, 2), (3,)]
    sequence = next(one for one in read_sequences(str(tmp_path / "to")) if one.name == FOLDER)
    labels = read_labels(sequence.masks, sequence.mask_names[2])
    assert np.array_equal(labels == 3, walk()[2][3])


def test_overlaps_are_counted(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "out"))
    claim_output(store)
    put_video(store, "v", overlapping())
    written = exported(store.url, "davis", tmp_path / "to")
    assert written.lost[Loss.OVERLAP] == 8
    labels = label_maps(tmp_path / "to")["v"]["00000"]
    truth = truth_of("v", overlapping())
    assert np.array_equal(labels == 2, truth["v", 0, 2])
    assert np.array_equal(labels == 1, truth["v", 0, 1] & ~truth["v", 0, 2])


def test_more_objects_than_a_byte_holds_are_refused(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "out"))
    claim_output(store)
    put_video(store, "crowd", [{number: np.ones((2, 2), bool) for number in range(1, 256)}])
    with pytest.raises(InvalidInput, match=r"video 'crowd': has 255 objects, this format holds 254.*--format"):
        exported(store.url, "davis", tmp_path / "to")
