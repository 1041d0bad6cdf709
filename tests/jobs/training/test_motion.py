"""Poses, paths, warps and the camera.

Legend: T frames, S side of the crop.
"""

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.training.motion import Pose, approach, camera, come_in, elastic, leave_and_return, path, place, wander
from tests.jobs.material import labels, picture, two_boxes

SIDE = 48
IDENTITY = Pose(anchor=(0.0, 0.0), centre=(0.0, 0.0), scale=1.0, angle=0.0)
SCENE = picture(0, 60, 80)


def moved_to(x: float, y: float, **changes: object) -> Pose:
    return Pose(**{**vars(IDENTITY), "centre": (x, y), **changes})


coordinates = st.floats(-100, 100)
poses = st.builds(
    Pose,
    anchor=st.tuples(coordinates, coordinates),
    centre=st.tuples(coordinates, coordinates),
    scale=st.floats(0.1, 8),
    angle=st.floats(-4, 4),
    mirrored=st.booleans(),
)


@given(pose=poses, offset=st.tuples(coordinates, coordinates))
def test_a_pose_brings_its_anchor_to_its_centre_and_scales_all_lengths(pose: Pose, offset: tuple[float, float]) -> None:
    linear, shift = pose.matrix()[:, :2], pose.matrix()[:, 2]
    np.testing.assert_allclose(linear @ pose.anchor + shift, pose.centre, atol=1e-6)
    assert math.hypot(*(linear @ offset)) == pytest.approx(pose.scale * math.hypot(*offset), abs=1e-6)
    assert np.linalg.det(linear) == pytest.approx((-1 if pose.mirrored else 1) * pose.scale**2)


@given(pose=poses, squeeze=st.floats(0.3, 3), along=coordinates)
def test_a_squeezed_pose_keeps_its_anchor_and_heights_and_changes_widths(
    pose: Pose, squeeze: float, along: float
) -> None:
    squeezed = replace(pose, squeeze=squeeze).matrix()
    np.testing.assert_allclose(squeezed @ [*pose.anchor, 1], pose.centre, atol=1e-6)
    np.testing.assert_allclose(squeezed[:, 1], pose.matrix()[:, 1])
    np.testing.assert_allclose(squeezed[:, 0] * along, squeeze * pose.matrix()[:, 0] * along, atol=1e-9)


def test_the_identity_gives_the_crop_itself() -> None:
    seen, mask = place(SCENE, two_boxes(), IDENTITY, SIDE)
    np.testing.assert_array_equal(seen, SCENE[:SIDE, :SIDE])
    np.testing.assert_array_equal(mask, two_boxes()[:SIDE, :SIDE])


@pytest.mark.parametrize(
    ("pose", "expected"),
    [
        (moved_to(-20, -7), SCENE[7 : 7 + SIDE, 20 : 20 + SIDE]),
        (moved_to(SIDE - 1, 0, mirrored=True), SCENE[:SIDE, :SIDE][:, ::-1]),
        (moved_to(SIDE - 1, 0, angle=math.pi / 2), np.rot90(SCENE[:SIDE, :SIDE], -1)),
        (moved_to(0, 0, scale=0.5), SCENE[::2, ::2][:20, :20]),
    ],
    ids=["shifted", "mirrored", "turned", "half"],
)
def test_a_pose_moves_the_picture(pose: Pose, expected: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> None:
    seen, _ = place(SCENE, two_boxes(), pose, SIDE)
    height, width = expected.shape[:2]
    np.testing.assert_array_equal(seen[:height, :width], expected)


@given(pose=poses, seed=st.integers(0, 99), strength=st.floats(0, 6))
def test_labels_are_never_mixed(pose: Pose, seed: int, strength: float) -> None:
    given_labels = np.where(two_boxes() == 2, 255, two_boxes()).astype(np.uint8)
    field = elastic(np.random.default_rng(seed), SIDE, strength)
    seen, mask = place(SCENE, given_labels, pose, SIDE, field)
    assert (seen.shape, mask.shape) == ((SIDE, SIDE, 3), (SIDE, SIDE))
    assert set(np.unique(mask)) <= {0, 1, 255}


def test_picture_and_labels_move_together() -> None:
    """A white box stays under its label, whatever the warp."""
    box = labels((15, 40, 20, 60))
    scene = np.repeat(255 * box[..., None], 3, axis=2)
    field = elastic(np.random.default_rng(1), SIDE, 2.0)
    pose = Pose(anchor=(40.0, 28.0), centre=(24.0, 24.0), scale=0.7, angle=0.4, mirrored=True)
    seen, mask = place(scene, box, pose, SIDE, field)
    assert 200 < mask.sum() < 1500
    inside = cv2.erode(mask, np.ones((3, 3), np.uint8)) > 0
    outside = cv2.dilate(mask, np.ones((3, 3), np.uint8)) == 0
    assert (seen[inside] > 127).all() and (seen[outside] < 128).all()


def test_beyond_the_border_the_picture_is_mirrored() -> None:
    seen, _ = place(SCENE, two_boxes(), moved_to(10, 0), SIDE)
    np.testing.assert_array_equal(seen[:, :10], SCENE[:SIDE, 1:11][:, ::-1])


def test_beyond_the_border_labels_can_end() -> None:
    full = np.ones(two_boxes().shape, np.uint8)
    _, mirrored = place(SCENE, full, moved_to(10, 0), SIDE)
    seen, ended = place(SCENE, full, moved_to(10, 0), SIDE, mirrored_labels=False)
    assert mirrored.all() and ended[:, 10:].all() and not ended[:, :10].any()
    np.testing.assert_array_equal(seen[:, :10], SCENE[:SIDE, 1:11][:, ::-1])


def test_a_field_displaces_pixel_by_pixel() -> None:
    field = np.zeros((SIDE, SIDE, 2), np.float32)
    field[:24] = (5, 2)
    seen, _ = place(SCENE, two_boxes(), IDENTITY, SIDE, field)
    np.testing.assert_array_equal(seen[:24], SCENE[2:26, 5 : 5 + SIDE])
    np.testing.assert_array_equal(seen[24:], SCENE[24:SIDE, :SIDE])


def test_a_path_begins_at_its_start_and_drifts_smoothly() -> None:
    start = Pose(anchor=(3.0, 4.0), centre=(20.0, 30.0), scale=2.0, angle=0.1, mirrored=True)
    poses = path(np.random.default_rng(3), start, 8, speed=4.0)
    assert poses[0] == start and len(poses) == 8
    assert {(pose.anchor, pose.mirrored) for pose in poses} == {(start.anchor, True)}
    centres = np.array([pose.centre for pose in poses])
    first_differences, second_differences = np.diff(centres, axis=0), np.diff(centres, 2, axis=0)
    assert np.abs(second_differences).max() < 0.2 * np.abs(first_differences).max()
    assert np.abs(centres[1] - centres[0]).max() > 0.1


@given(seed=st.integers(0, 1000), frames=st.integers(1, 500), per_frame=st.floats(-10, 10))
def test_a_wandering_curve_starts_at_zero_keeps_its_pace_and_never_goes_far(
    seed: int, frames: int, per_frame: float
) -> None:
    curve = wander(np.random.default_rng(seed), frames, per_frame)
    assert curve.shape == (frames,) and abs(curve[0]) < 1e-9
    assert np.abs(np.diff(curve)).max(initial=0) <= abs(per_frame) + 1e-9
    assert np.abs(curve).max() <= 24 * abs(per_frame)


@given(seed=st.integers(0, 1000), frames=st.integers(1, 12), speed=st.floats(0, 3))
def test_what_comes_nearer_does_so_all_the_way_and_stays_on_its_path(seed: int, frames: int, speed: float) -> None:
    start = replace(IDENTITY, centre=(3.0, 4.0), angle=0.5, scale=0.7)
    found = approach(np.random.default_rng(seed), [start] * frames, speed)
    assert found[0] == start and {(pose.centre, pose.angle) for pose in found} == {(start.centre, start.angle)}
    for values, most in (([p.scale / 0.7 for p in found], 2.0), ([p.squeeze for p in found], 1.6)):
        steps = np.diff(np.log(values))
        assert np.abs(np.log(values)).max() <= math.log(most) * min(1.0, speed) + 1e-9
        np.testing.assert_allclose(steps, steps[:1].repeat(len(steps)), atol=1e-9)


@given(seed=st.integers(0, 1000), frames=st.integers(1, 60))
def test_what_leaves_is_in_place_at_first_and_gone_for_some_frames(seed: int, frames: int) -> None:
    poses = [IDENTITY] * frames
    found = leave_and_return(np.random.default_rng(seed), poses, 100.0)
    away = np.array([math.hypot(*pose.centre) for pose in found])
    assert len(found) == frames and away[0] < 1e-9
    assert np.abs(away - 100).min() < 1e-6 or frames == 1
    assert away.max() < 100 + 1e-6


def test_some_come_back_and_some_do_not() -> None:
    last = [
        math.hypot(*leave_and_return(np.random.default_rng(seed), [IDENTITY] * 12, 100.0)[-1].centre)
        for seed in range(40)
    ]
    assert 5 < sum(away < 1e-6 for away in last) < 35


@given(seed=st.integers(0, 1000), frames=st.integers(2, 60))
def test_what_comes_in_is_off_at_first_and_in_place_from_some_frame_on(seed: int, frames: int) -> None:
    found = come_in(np.random.default_rng(seed), [IDENTITY] * frames, 100.0)
    away = np.array([math.hypot(*pose.centre) for pose in found])
    assert len(found) == frames and away[0] == pytest.approx(100)
    assert (np.diff(away) < 1e-6).all() and away[-1] < 1e-6


def test_speed_is_the_drift_in_pixels_a_frame() -> None:
    def drift(speed: float) -> float:
        paths = [path(np.random.default_rng(seed), IDENTITY, 2, speed=speed) for seed in range(200)]
        return float(np.mean([math.hypot(*poses[1].centre) for poses in paths]))

    assert drift(0) == 0
    assert 0.5 < drift(8) / 8 < 2


def test_an_elastic_field_is_smooth_and_grows_with_its_strength() -> None:
    weak, strong = (elastic(np.random.default_rng(5), SIDE, strength) for strength in (1.0, 3.0))
    assert weak.shape == (SIDE, SIDE, 2) and weak.dtype == np.float32
    np.testing.assert_allclose(strong, 3 * weak, rtol=1e-4, atol=1e-5)
    assert 0.1 < np.abs(weak).max() < 8
    assert max(np.abs(np.diff(weak, axis=axis)).max() for axis in (0, 1)) < 0.5
    assert not elastic(np.random.default_rng(5), SIDE, 0.0).any()


def test_the_camera_changes_the_light_and_keeps_the_shapes() -> None:
    frames = [picture(seed, SIDE, SIDE) for seed in range(3)]
    kept = [frame.copy() for frame in frames]
    changed = 0
    for seed in range(30):
        seen, again = (camera(np.random.default_rng(seed), frames) for _ in range(2))
        assert all(frame.shape == (SIDE, SIDE, 3) and frame.dtype == np.uint8 for frame in seen) and len(seen) == 3
        np.testing.assert_array_equal(seen, again)
        changed += not np.array_equal(seen, frames)
    assert changed == 30
    np.testing.assert_array_equal(frames, kept)
