import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.clip import Clip
from model.synthetic import make_clip, make_squares


def clip(seed: int = 0, num_frames: int = 12, num_objects: int = 3) -> Clip:
    return make_clip(seed, num_frames=num_frames, height=120, width=213, num_objects=num_objects)


def test_frames_and_labels_have_the_asked_shape() -> None:
    made = make_clip(1, num_frames=5, height=64, width=97, num_objects=2)
    assert made.frames.shape == (5, 64, 97, 3)
    assert made.frames.dtype == np.uint8
    assert made.labels.shape == (5, 64, 97)
    assert set(np.unique(made.labels)) == {0, 1, 2}


def test_a_seed_always_gives_the_same_bytes() -> None:
    first, second = clip(seed=7), clip(seed=7)
    assert first.frames.tobytes() == second.frames.tobytes()
    assert first.labels.tobytes() == second.labels.tobytes()


def test_the_bytes_do_not_depend_on_the_number_of_threads() -> None:
    threads = cv2.getNumThreads()
    first = clip(seed=8)
    try:
        cv2.setNumThreads(4)
        assert clip(seed=8).frames.tobytes() == first.frames.tobytes()
    finally:
        cv2.setNumThreads(threads)


def test_another_seed_gives_another_clip() -> None:
    assert not np.array_equal(clip(seed=1).labels, clip(seed=2).labels)


def test_a_longer_clip_begins_with_the_shorter_one() -> None:
    short, long = clip(num_frames=4), clip(num_frames=9)
    assert np.array_equal(short.frames, long.frames[:4])


@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(16, 90),
    width=st.integers(16, 90),
    num_objects=st.integers(1, 5),
)
def test_every_object_is_in_view_in_frame_0(seed: int, height: int, width: int, num_objects: int) -> None:
    made = make_clip(seed, num_frames=1, height=height, width=width, num_objects=num_objects)
    assert set(np.unique(made.labels)) - {0} == set(range(1, num_objects + 1))


def test_objects_stay_mostly_in_view() -> None:
    for seed in range(6):
        labels = clip(seed=seed, num_frames=60).labels
        seen = [(labels == object_id).any(axis=(1, 2)).mean() for object_id in (1, 2, 3)]
        assert min(seen) > 0.8


def test_objects_move_smoothly() -> None:
    labels = clip(num_frames=30, num_objects=1).labels
    centres = np.array([np.argwhere(frame == 1).mean(axis=0) for frame in labels])
    steps = np.linalg.norm(np.diff(centres, axis=0), axis=1)
    assert 0 < steps.max() < 8
    assert np.linalg.norm(centres - centres[0], axis=1).max() > 8


def test_nearer_objects_hide_farther_ones() -> None:
    def hides(seed: int) -> bool:
        labels = clip(seed=seed, num_frames=60, num_objects=4).labels
        areas = np.array([(labels == object_id).sum(axis=(1, 2)) for object_id in range(1, 5)])
        return bool((areas.min(axis=1) < 0.3 * areas.max(axis=1)).any())

    assert any(map(hides, range(8)))


def test_labels_follow_the_borders_of_the_picture() -> None:
    """Pixels just inside an outline look like the object, just outside like the background."""
    made = clip(seed=3, num_frames=1, num_objects=1)
    mask = (made.labels[0] == 1).astype(np.uint8)
    picture = made.frames[0].astype(np.float64)
    kernel = np.ones((3, 3), np.uint8)
    inside, outside = cv2.erode(mask, kernel) > 0, cv2.dilate(mask, kernel) == 0
    object_colour, ground = picture[inside].mean(axis=0), picture[outside].mean(axis=0)
    ring_in = inside & (cv2.erode(mask, np.ones((5, 5), np.uint8)) == 0)
    ring_out = outside & (cv2.dilate(mask, np.ones((5, 5), np.uint8)) > 0)
    direction = object_colour - ground
    shares = [
        float((picture[ring].mean(axis=0) - ground) @ direction / (direction @ direction))
        for ring in (ring_out, ring_in)
    ]
    assert shares[0] < 0.35
    assert shares[1] > 0.65


def test_picture_edges_are_blended() -> None:
    """Across an outline a pixel lies between the two sides, so masks cannot be read off by a threshold."""
    made = clip(seed=3, num_frames=1, num_objects=1)
    mask = (made.labels[0] == 1).astype(np.uint8)
    edge = (mask == 1) & (cv2.erode(mask, np.ones((3, 3), np.uint8)) == 0)
    core = cv2.erode(mask, np.ones((7, 7), np.uint8)) > 0
    ground = made.frames[0][mask == 0].mean(axis=0)
    distance = np.linalg.norm(made.frames[0] - ground, axis=2)
    assert distance[edge].mean() < 0.95 * distance[core].mean()


def test_the_light_changes_slowly() -> None:
    brightness = clip(num_frames=60).frames.mean(axis=(1, 2, 3))
    assert np.ptp(brightness) > 2
    assert np.abs(np.diff(brightness)).max() < 2


def test_the_sensor_is_noisy() -> None:
    """What changes from one frame to the next from pixel to pixel, almost nothing having moved."""
    frames = clip(num_frames=2).frames.astype(np.float64)
    change = frames[1] - frames[0]
    fine = change - cv2.GaussianBlur(change, (0, 0), 1)
    assert 2 < 1.4826 * np.median(np.abs(fine)) < 6


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_frames": 0}, "num_frames"),
        ({"height": 15}, "too small"),
        ({"width": 8}, "too small"),
        ({"num_objects": 0}, "num_objects"),
        ({"num_objects": 255}, "num_objects"),
        ({"height": 16, "width": 16, "num_objects": 40}, "do not fit"),
    ],
)
def test_impossible_clips_are_refused(changed: dict[str, int], message: str) -> None:
    asked = {"num_frames": 2, "height": 32, "width": 32, "num_objects": 1} | changed
    with pytest.raises(ValueError, match=message):
        make_clip(0, **asked)


@pytest.mark.parametrize("count", [1, 12, 60])
def test_squares_move_one_pixel_a_frame_and_stay_whole(count: int) -> None:
    made = make_squares(3, num_frames=40, height=120, width=200, num_objects=count)
    areas = np.array([np.bincount(labels.ravel(), minlength=count + 1)[1:] for labels in made.labels])
    assert areas.min() == areas.max() >= 16
    places = np.array([[_corner(labels, i) for i in range(1, count + 1)] for labels in made.labels])
    assert (np.abs(np.diff(places, axis=0)).sum(axis=2) == 1).all()


def _corner(labels: np.ndarray, object_id: int) -> tuple[int, int]:
    ys, xs = np.nonzero(labels == object_id)
    return int(ys.min()), int(xs.min())


def test_squares_are_plain_and_differ_in_their_colour() -> None:
    made = make_squares(0, num_frames=2, height=90, width=90, num_objects=12)
    colours = {tuple(np.unique(made.frames[0][made.labels[0] == i], axis=0).ravel()) for i in range(13)}
    assert len(colours) == 13 and {len(colour) for colour in colours} == {3}


def test_a_seed_gives_the_same_squares_and_another_one_others() -> None:
    one, again, other = (make_squares(seed, num_frames=3, height=80, width=80, num_objects=9) for seed in (1, 1, 2))
    assert np.array_equal(one.frames, again.frames) and np.array_equal(one.labels, again.labels)
    assert not np.array_equal(one.labels, other.labels)


def test_too_many_squares_are_refused() -> None:
    with pytest.raises(ValueError, match="60 squares do not fit into 16 x 16"):
        make_squares(0, num_frames=1, height=16, width=16, num_objects=60)
