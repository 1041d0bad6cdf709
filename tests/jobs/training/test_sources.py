"""Stills and sequences as material for clips."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from jobs.datasets.davis import read_sequences
from jobs.pictures.decode import decode_picture
from jobs.training.sources import DavisSequences, Footage, MovedStills, framing
from jobs.training.stills import Still
from pipeline.errors import InvalidInput
from tests.jobs.material import labels, still, two_boxes, write_sequence

SIDE = 40


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def check(footage: Footage, frames: int, *, ids: set[int]) -> None:
    """T frames of the asked side with no other ids."""
    assert len(footage.frames) == len(footage.labels) == frames
    assert all(frame.shape == (SIDE, SIDE, 3) and frame.dtype == np.uint8 for frame in footage.frames)
    assert all(found.shape == (SIDE, SIDE) and found.dtype == np.uint8 for found in footage.labels)
    assert all(set(np.unique(found)) <= ids for found in footage.labels)


# Stills


def test_a_moved_still_shows_its_objects_and_moves() -> None:
    source = MovedStills([still(1)])
    shown = 0
    for seed in range(20):
        footage = source.draw(rng(seed), 3, SIDE, 1.0)
        check(footage, 3, ids={0, 1, 2})
        assert not np.array_equal(footage.frames[0], footage.frames[2])
        shown += bool(footage.labels[0].any())
    assert shown >= 19


def test_the_same_seed_draws_the_same_footage() -> None:
    source = MovedStills([still(1), still(2)])
    first, again, other = (source.draw(rng(seed), 3, SIDE, 1.0) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.frames, again.frames)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert not np.array_equal(first.frames, other.frames)


def test_in_depth_objects_move_before_what_is_behind_them_and_stay_under_their_labels() -> None:
    """Red and blue boxes on grey: each keeps its colour and id, they move apart, and where they were it is grey."""
    found = two_boxes()
    colours = np.array([[100, 100, 100], [255, 0, 0], [0, 0, 255]], np.uint8)
    source = MovedStills([Still(name="s", picture=colours[found], labels=found)], bend=0.0, depth=1.0)
    apart = []
    for seed in range(20):
        footage = source.draw(rng(seed), 4, SIDE, 1.0)
        check(footage, 4, ids={0, 1, 2})
        if set(np.unique(footage.labels[0])) != {0, 1, 2}:
            continue  # what the first frame does not show stays with the background, and may fill holes
        for frame, ids in zip(footage.frames, footage.labels, strict=True):
            inside = cv2.erode((ids > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
            outside = cv2.dilate((ids > 0).astype(np.uint8), np.ones((5, 5), np.uint8)) == 0
            assert inside.sum() == 0 or (np.abs(frame - colours[ids].astype(int)).max(axis=2)[inside] < 60).mean() > 0.9
            assert outside.sum() == 0 or (np.abs(frame.astype(int) - 100).max(axis=2)[outside] < 60).mean() > 0.97
        if all(set(np.unique(ids)) == {0, 1, 2} for ids in footage.labels):
            first, last = (
                np.subtract(*(np.argwhere(ids == n).mean(axis=0) for n in (1, 2)))
                for ids in (footage.labels[0], footage.labels[-1])
            )
            apart.append(float(np.abs(last - first).max()))
    assert len(apart) > 3 and np.median(apart) > 2


def test_what_fills_its_still_moves_with_it() -> None:
    """Nothing is behind it: what lies beyond the border is mirrored, and still the object."""
    source = MovedStills([still(1, labels((0, 60, 0, 80)))], depth=1.0)
    for seed in range(10):
        assert all((ids == 1).all() for ids in source.draw(rng(seed), 3, SIDE, 2.0).labels)


# Sequences


def sequences(root: Path) -> DavisSequences:
    return DavisSequences(read_sequences(str(root)))


def order(footage: Footage) -> list[int]:
    """Which frame of `write_sequence` each one is, by its grey."""
    return [round(float(frame.mean()) / 10) - 1 for frame in footage.frames]


@pytest.mark.parametrize("level", ["", "480p"])
def test_a_sequence_is_drawn_in_either_direction_with_equal_gaps(tmp_path: Path, level: str) -> None:
    source = sequences(write_sequence(tmp_path, "dogs", 12, level=level))
    gaps = set()
    for seed in range(60):
        footage = source.draw(rng(seed), 3, SIDE, 1.0)
        check(footage, 3, ids={0, 1, 2})
        numbers = order(footage)
        assert all(0 <= number < 12 for number in numbers)
        gaps.add(numbers[1] - numbers[0])
        assert numbers[2] - numbers[1] == numbers[1] - numbers[0]
    assert gaps == {gap for gap in range(-5, 6) if gap}


def test_slow_clips_have_small_gaps(tmp_path: Path) -> None:
    source = sequences(write_sequence(tmp_path, "dogs", 20))
    numbers = [order(source.draw(rng(seed), 3, SIDE, 0.2)) for seed in range(40)]
    assert {abs(first - second) for first, second, _ in numbers} == {1, 2}


def test_a_sequence_may_be_as_short_as_the_clip(tmp_path: Path) -> None:
    source = sequences(write_sequence(tmp_path, "dogs", 3))
    drawn = {tuple(order(source.draw(rng(seed), 3, SIDE, 1.0))) for seed in range(10)}
    assert drawn == {(0, 1, 2), (2, 1, 0)}


def test_frames_and_masks_belong_together_through_one_crop(tmp_path: Path) -> None:
    """Frame n shows its object n rows lower; all frames are seen in one pose."""
    boxes = [labels((5 + 2 * n, 35 + 2 * n, 20, 60)) for n in range(4)]
    source = sequences(write_sequence(tmp_path, "dogs", 4, found=boxes))
    for seed in range(10):
        footage = source.draw(rng(seed), 4, SIDE, 0.1)
        middles = [np.argwhere(found).mean(axis=0) for found in footage.labels]
        steps = np.diff(middles, axis=0)
        expected = 1 if order(footage)[0] == 0 else -1
        assert expected * (steps[:, 0].mean()) > 0


def test_all_named_sequences_are_drawn_from_and_no_other(tmp_path: Path) -> None:
    for number, name in enumerate(("a", "b", "c"), 1):
        write_sequence(tmp_path, name, 2, found=[np.full((60, 80), number, np.uint8)] * 2)
    (tmp_path / "set.txt").write_text("a\nc\n")
    source = DavisSequences(read_sequences(str(tmp_path), set_file=str(tmp_path / "set.txt")))
    assert {int(source.draw(rng(seed), 2, SIDE, 1.0).labels[0][0, 0]) for seed in range(20)} == {1, 3}


def test_frames_without_a_mask_are_left_out(tmp_path: Path) -> None:
    """As in YouTube-VOS, where every fifth frame has one."""
    root = write_sequence(tmp_path, "walk", 11)
    for number in range(11):
        if number % 5:
            (root / "Annotations" / "walk" / f"{8 + number}.png").unlink()
    (only,) = sequences(root).recordings
    assert [round(decode_picture(frame.picture, frame.name).mean()) for frame in only] == [10, 60, 110]


def test_a_damaged_frame_is_named_when_it_is_drawn(tmp_path: Path) -> None:
    root = write_sequence(tmp_path, "walk", 2)
    (root / "JPEGImages/walk/9.jpg").write_bytes(b"no picture")
    with pytest.raises(InvalidInput, match=r"JPEGImages/walk/9\.jpg: is no whole JPEG or PNG picture"):
        sequences(root).draw(rng(), 2, SIDE, 1.0)


def test_ids_that_do_not_fit_are_named(tmp_path: Path) -> None:
    root = write_sequence(tmp_path, "walk", 2, found=[np.full((60, 80), 300, np.uint16)] * 2)
    with pytest.raises(InvalidInput, match=r"Annotations/walk/8\.png: holds the id 300"):
        sequences(root)


# Crops


def test_a_crop_is_anchored_on_an_object() -> None:
    found = two_boxes()
    found[:, :8] = 255
    for seed in range(40):
        pose = framing(rng(seed), found, SIDE)
        x, y = (round(value) for value in pose.anchor)
        assert found[y, x] in (1, 2)
        assert all(0.25 * SIDE <= value <= 0.75 * SIDE for value in pose.centre)
        assert 0.4 * 60 <= SIDE / pose.scale <= 60 + 1e-9


def test_a_crop_of_a_picture_without_objects_is_about_its_middle() -> None:
    assert framing(rng(), np.zeros((60, 80), np.uint8), SIDE).anchor == (40, 30)
