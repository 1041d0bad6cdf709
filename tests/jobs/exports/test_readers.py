"""Exports as the libraries read them for which they are made, each in the environment that it asks for.

`make test-exports` makes the environments below build/ and runs these.
"""

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from jobs.exports.pictures import Frames
from pipeline.output.marker import claim_output
from pipeline.storage.store import Store
from tests.jobs.exports.outputs import (
    FOLDER,
    UNICODE,
    Output,
    Truth,
    exported,
    overlapping,
    put_video,
    same,
    truth_of,
)  # fmt: skip

pytestmark = pytest.mark.exports

ROOT = Path(__file__).parents[3]
SCRIPTS = Path(__file__).parent / "readers"
Named = dict[tuple[str, str, int], np.ndarray]


def read(environment: str, reader: str, folder: Path) -> Named:
    """What a reader finds, by video, frame as the format names it, and object."""
    result = folder.parent / f"{reader}.npz"
    python = ROOT / "build" / environment / "bin/python"
    command = [str(python), str(SCRIPTS / f"with_{environment}.py"), reader, str(folder), str(result)]
    subprocess.run(command, check=True)
    with np.load(result) as content:
        return {tuple(json.loads(key)): content[key] for key in content.files}


def by_stem(truth: Truth) -> Named:
    """As frames are called after their pictures."""
    return {
        (video, str(8 + frame) if video == FOLDER else f"{frame:05d}", object_id): mask
        for (video, frame, object_id), mask in truth.items()
    }


def by_place(truth: Truth) -> Named:
    """As frames are counted from the first exported one."""
    return {
        (video, f"{frame - (2 if video == UNICODE else 0):06d}", object_id): mask
        for (video, frame, object_id), mask in truth.items()
    }


@pytest.mark.parametrize(
    ("reader", "name", "named", "frames"),
    [
        # datumaro asks for the pictures that annotations are about.
        ("datumaro_coco", "coco", by_stem, Frames.COPY),
        ("datumaro_cvat", "cvat", by_stem, Frames.COPY),
        ("datumaro_mots", "mots", by_place, Frames.NONE),
        ("cvat_masks", "cvat", by_stem, Frames.NONE),
        ("trackeval_mots", "mots", by_place, Frames.NONE),
        ("trackeval_youtube_vis", "youtube-vis", by_stem, Frames.NONE),
    ],
)
def test_every_pixel_is_read(output: Output, tmp_path: Path, reader: str, name: str, named, frames: Frames) -> None:  # type: ignore[no-untyped-def]
    exported(output, name, tmp_path / "to", manifest=output.manifest, classes=_classes(reader), frames=frames)
    assert same(read("readers", reader, tmp_path / "to"), named(output.truth))


def _classes(reader: str) -> bool:
    # KITTI-MOTS knows cars and pedestrians alone, as 1 and 2.
    return reader != "trackeval_mots"


def test_overlaps_are_read(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "out"))
    claim_output(store)
    put_video(store, UNICODE, overlapping())
    exported(store.url, "cvat", tmp_path / "to")
    assert same(read("readers", "cvat_masks", tmp_path / "to"), by_stem(truth_of(UNICODE, overlapping())))


def test_label_studio_reads_every_pixel(output: Output, tmp_path: Path) -> None:
    exported(output, "label-studio", tmp_path / "to", manifest=output.manifest, classes=True)
    found = read("label_studio", "label_studio", tmp_path / "to")
    assert same(found, {(video, str(frame), number): mask for (video, frame, number), mask in output.truth.items()})


def test_supervision_reads_what_an_outline_holds(output: Output, tmp_path: Path) -> None:
    exported(output, "yolo-seg", tmp_path / "to", manifest=output.manifest, classes=True, frames=Frames.COPY)
    found = read("readers", "supervision_yolo", tmp_path / "to")
    assert found.keys() == by_number(by_stem(output.truth)).keys()
    exact = {key: mask for key, mask in by_number(by_stem(output.truth), but=(3,)).items() if key[0] == FOLDER}
    assert len(exact) == 10
    assert same({key: found[key] for key in exact}, exact)


def by_number(truth: Named, but: Iterable[int] = ()) -> Named:
    """Objects as they are counted within their frame."""
    found: Named = {}
    counts: dict[tuple[str, str], int] = {}
    for video, frame, object_id in sorted(truth):
        number = counts.setdefault((video, frame), 0)
        counts[video, frame] += 1
        if object_id not in but:
            found[video, frame, number] = truth[video, frame, object_id]
    return found
