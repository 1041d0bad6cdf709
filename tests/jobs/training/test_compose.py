"""Clips: what `draw_clip` promises whatever was drawn."""

from dataclasses import replace

import numpy as np
import pytest

from jobs.training.compose import Composition, draw_clip
from jobs.training.motion import Generator
from jobs.training.sources import Footage, MovedStills
from jobs.training.stills import Still
from model.clip import Clip
from tests.jobs.material import labels, still, two_boxes

STILLS = [still(1), still(2, labels((5, 55, 5, 40), (5, 20, 45, 75), (25, 40, 45, 75), (45, 58, 45, 75)))]
SIDE = 48


def composition(**changes: object) -> Composition:
    plain = Composition(sources=[MovedStills(STILLS)], shares=[1.0], cutouts=STILLS, frames=3, side=SIDE, newcomers=0.0)
    return replace(plain, **changes)  # type: ignore[arg-type]


def drawn(seed: int, **changes: object) -> Clip:
    return draw_clip(np.random.default_rng(seed), composition(**changes))


class Fixed:
    """A source of the same footage again and again."""

    def __init__(self, *found: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]", grey: int = 100) -> None:
        self._footage = Footage(frames=[np.full((SIDE, SIDE, 3), grey, np.uint8)] * len(found), labels=list(found))

    def draw(self, rng: Generator, frames: int, side: int, speed: float) -> Footage:
        return self._footage


def squares(*ids: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    """A square of 12 x 12 for each id."""
    found = np.zeros((SIDE, SIDE), np.uint8)
    for place, number in enumerate(ids):
        row, column = divmod(place, 3)
        found[16 * row : 16 * row + 12, 16 * column : 16 * column + 12] = number
    return found


@pytest.mark.parametrize(
    "changes", [{}, {"generated": 1.0}, {"squares": 1.0}, {"pastes": 4.0}, {"newcomers": 4.0}, {"speed": 3.0}], ids=str
)
@pytest.mark.parametrize("most", [1, 3])
def test_objects_are_numbered_without_gaps_in_the_first_frame(changes: dict[str, float], most: int) -> None:
    for seed in range(15):
        clip = drawn(seed, max_objects=most, **changes)
        ids = sorted(set(np.unique(clip.labels[0])) - {0, 255})
        assert ids == list(range(1, len(ids) + 1))
        assert 1 <= len(ids) <= most
        assert set(np.unique(clip.labels)) <= {0, 255, *ids}


@pytest.mark.parametrize("most", [1, 3])
def test_of_many_squares_some_are_objects_and_move_slowly(most: int) -> None:
    for seed in range(10):
        clip = drawn(seed, squares=1.0, side=96, max_objects=most)
        ids = sorted(set(np.unique(clip.labels[0])) - {0})
        assert ids == list(range(1, most + 1))
        areas = [(clip.labels == i).sum(axis=(1, 2)) for i in ids]
        assert all((area == area[0]).all() and area[0] >= 4 for area in areas)
        centres = [np.argwhere(labels == 1).mean(axis=0) for labels in clip.labels]
        assert 0 < np.abs(np.diff(centres, axis=0)).max() <= 4


def test_slow_clips_move_less() -> None:
    def moved(**changes: float) -> float:
        clips = [drawn(seed, pastes=0.0, speed=2.0, **changes) for seed in range(12)]
        return float(np.mean([(clip.labels[0] != clip.labels[-1]).mean() for clip in clips]))

    assert moved(slow=1.0) < 0.5 * moved()


@pytest.mark.parametrize("generated", [0.0, 1.0])
@pytest.mark.parametrize(("frames", "side"), [(2, 48), (5, 64)])
def test_a_clip_has_the_asked_frames_and_side(generated: float, frames: int, side: int) -> None:
    clip = drawn(1, generated=generated, frames=frames, side=side)
    assert clip.frames.shape == (frames, side, side, 3)
    assert clip.labels.shape == (frames, side, side)
    assert clip.frames.dtype == clip.labels.dtype == np.uint8


@pytest.mark.parametrize("generated", [0.0, 0.5, 1.0])
def test_the_same_seed_draws_the_same_clip(generated: float) -> None:
    first, again, other = (drawn(seed, generated=generated) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.frames, again.frames)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert not np.array_equal(first.frames, other.frames)


def test_ids_stay_with_their_objects_and_void_stays_void() -> None:
    """Objects 7 and 200 of the footage become 1 and 2 in either order; what is new in frame 1 is background."""
    first, second = squares(7, 200, 255), squares(200, 7, 255, 9)
    seen = set()
    for seed in range(10):
        clip = drawn(seed, sources=[Fixed(first, second)], pastes=0.0, generated=0.0)
        seven = int(clip.labels[0][first == 7].max())
        assert sorted({seven, 3 - seven}) == [1, 2]
        seen.add(seven)
        expected = np.zeros_like(second)
        expected[second == 7], expected[second == 200], expected[second == 255] = seven, 3 - seven, 255
        np.testing.assert_array_equal(clip.labels[1], expected)
    assert seen == {1, 2}


def test_objects_above_the_limit_become_background() -> None:
    clip = drawn(0, sources=[Fixed(squares(1, 2, 3, 4, 5))], frames=1, pastes=0.0, generated=0.0, max_objects=2)
    kept = [int(clip.labels[0][squares(1, 2, 3, 4, 5) == number].max()) for number in range(1, 6)]
    assert sorted(kept) == [0, 0, 0, 1, 2]


def test_specks_are_no_objects() -> None:
    specks = np.zeros((SIDE, SIDE), np.uint8)
    specks[0, :59], specks[10, :60] = 1, 2
    specks[10, :48] = 2
    specks[11, :12] = 2
    clip = drawn(0, sources=[Fixed(specks)], frames=1, pastes=0.0, generated=0.0)
    np.testing.assert_array_equal(clip.labels[0], specks == 2)


def test_footage_that_shows_no_object_gives_up_with_a_reason() -> None:
    with pytest.raises(RuntimeError, match="are the masks empty"):
        drawn(0, sources=[Fixed(np.zeros((SIDE, SIDE), np.uint8))], pastes=0.0, generated=0.0)


def test_sources_are_drawn_from_by_their_shares() -> None:
    grey = {"sources": [Fixed(squares(1), grey=30), Fixed(squares(1), grey=200)], "pastes": 0.0, "generated": 0.0}

    def bright(shares: list[float]) -> int:
        return sum(drawn(seed, shares=shares, **grey).frames.mean() > 110 for seed in range(60))

    assert (bright([1.0, 0.0]), bright([0.0, 2.0])) == (0, 60)
    assert 5 < bright([3.0, 1.0]) < 30 < bright([1.0, 3.0]) < 55


def test_pasted_objects_are_seen_where_their_labels_are() -> None:
    """White boxes on black: what is labelled is bright, and so are distractors, unlabelled."""
    white = Still(name="w", picture=np.full((60, 80, 3), 255, np.uint8), labels=two_boxes())
    base = np.zeros((SIDE, SIDE), np.uint8)
    more = distractors = 0
    for seed in range(30):
        clip = drawn(
            seed, sources=[Fixed(base, base, grey=0)], cutouts=[white], frames=2, pastes=2.0, generated=0.0, speed=0.2
        )
        brightness = clip.frames[0].astype(int).sum(axis=2)
        inside, outside = brightness[clip.labels[0] > 0], brightness[clip.labels[0] == 0]
        assert inside.mean() > outside.mean() + 150
        more += clip.labels[0].max() > 1
        distractors += bool((outside > np.median(inside) * 0.95).mean() > 0.02)
    assert more and distractors


def test_only_cutouts_with_large_objects_are_pasted() -> None:
    small = still(9, labels((0, 2, 0, 2)))
    clip = drawn(1, cutouts=[small, still(3), small], pastes=5.0, generated=0.0)
    assert clip.labels.any()


def test_few_clips_are_grey() -> None:
    clips = [drawn(seed, generated=0.0, frames=2) for seed in range(80)]
    assert 1 <= sum(bool((clip.frames[..., 0] == clip.frames[..., 2]).all()) for clip in clips) <= 15


def test_objects_can_leave_and_come_back() -> None:
    """Of pasted objects all leave; some are gone for frames in the middle and there again at the end."""
    returned = 0
    for seed in range(20):
        clip = drawn(seed, frames=12, pastes=3.0, leaving=1.0, lookalikes=0.0, generated=0.0, speed=0.2)
        seen = [[bool((labels == number).any()) for labels in clip.labels] for number in range(1, 4)]
        returned += any(found[0] and not all(found) and found[-1] for found in seen)
    assert returned > 3


def test_newcomers_come_in_later_and_are_background() -> None:
    """White boxes before black footage: none in the first frame, more and more after it, in front of the object."""
    white = Still(name="w", picture=np.full((60, 80, 3), 255, np.uint8), labels=two_boxes())
    base, bright, covered = squares(1), [], 0
    for seed in range(20):
        plain = {"sources": [Fixed(*[base] * 4, grey=0)], "cutouts": [white], "pastes": 0.0, "generated": 0.0}
        clip = drawn(seed, newcomers=2.0, **plain)
        bright.append([float((frame.min(axis=2) > 128).mean()) for frame in clip.frames])
        assert set(np.unique(clip.labels)) == {0, 1}
        assert (clip.labels[:, base == 0] == 0).all()
        covered += bool((clip.labels[-1] != clip.labels[0]).any())
        assert not (clip.frames[-1].min(axis=2) > 128)[clip.labels[-1] == 1].any()
    first, *_, last = np.mean(bright, axis=0)
    assert first == 0 and last > 0.1
    assert covered > 3


def test_what_hides_an_object_at_first_goes_away_and_the_object_is_all_there() -> None:
    """White boxes before a black square: in the first frame some of it is hidden, in the last all is seen again."""
    white = Still(name="w", picture=np.full((60, 80, 3), 255, np.uint8), labels=two_boxes())
    base, hidden = squares(1), 0
    for seed in range(20):
        clip = drawn(seed, sources=[Fixed(*[base] * 4, grey=0)], cutouts=[white], pastes=0.0, generated=0.0, veils=2.0)
        assert all(np.isin(labels, (0, 1)).all() and not labels[base == 0].any() for labels in clip.labels)
        areas = (clip.labels == 1).sum(axis=(1, 2))
        hidden += bool(areas[0] < base.sum())
        assert areas[-1] == base.sum() and not (clip.frames[-1].min(axis=2) > 128).any()
        assert not (clip.frames[0].min(axis=2) > 225)[clip.labels[0] == 1].any()
    assert hidden > 4


def test_some_newcomers_are_dark() -> None:
    """White boxes before mid-grey: some stay brighter than it, some become darker."""
    white = Still(name="w", picture=np.full((60, 80, 3), 255, np.uint8), labels=two_boxes())
    brighter = darker = 0
    for seed in range(30):
        clip = drawn(
            seed, sources=[Fixed(squares(1), squares(1))], cutouts=[white], pastes=0.0, generated=0.0, newcomers=1.0
        )
        change = clip.frames[1].astype(int).mean(axis=2) - np.median(clip.frames[1])
        brighter += bool((change > 25).mean() > 0.05)
        darker += bool((change < -25).mean() > 0.05)
    assert brighter > 3 and darker > 1


def test_cutouts_bend_from_frame_to_frame() -> None:
    """Of white cut-outs that hardly move, the outline changes with `bend` alone, and stays under its label."""
    white = Still(name="w", picture=np.full((60, 80, 3), 255, np.uint8), labels=two_boxes())
    black = Fixed(*[np.zeros((SIDE, SIDE), np.uint8)] * 3, grey=0)
    changed = {}
    for bend in (0.0, 4.0):
        plain = {"sources": [black], "cutouts": [white], "pastes": 1.5, "generated": 0.0, "leaving": 0.0, "speed": 0.01}
        clips = [drawn(seed, bend=bend / 0.01, **plain) for seed in range(10)]
        changed[bend] = np.mean([(clip.labels[0] != clip.labels[2]).mean() for clip in clips])
        for clip in clips:
            inside = clip.frames[2].mean(axis=2)[clip.labels[2] > 0]
            assert inside.size == 0 or inside.mean() > clip.frames[2].mean()
    assert changed[4.0] > 3 * changed[0.0]


@pytest.mark.parametrize("generated", [0.0, 1.0])
def test_a_clip_has_at_least_the_wanted_objects(generated: float) -> None:
    for seed in range(10):
        clip = drawn(seed, min_objects=2, max_objects=3, generated=generated, pastes=3.0, side=96)
        assert clip.labels[0][clip.labels[0] != 255].max() in (2, 3)


def test_lookalikes_are_copies_of_what_is_there() -> None:
    """On grey footage with one white square, every double is white too; other cut-outs are black."""
    base = np.zeros((SIDE, SIDE), np.uint8)
    base[10:30, 10:30] = 1
    frame = np.where(base[..., None] > 0, 255, 100).astype(np.uint8).repeat(3, axis=2)

    class White:
        def draw(self, rng: Generator, frames: int, side: int, speed: float) -> Footage:
            return Footage(frames=[frame], labels=[base])

    black = Still(name="b", picture=np.zeros((60, 80, 3), np.uint8), labels=two_boxes())
    for share in (0.0, 1.0):
        clips = [
            drawn(
                seed, sources=[White()], cutouts=[black], frames=1, generated=0.0, lookalikes=share, min_objects=2,
                pastes=2.0,
            )
            for seed in range(10)
        ]  # fmt: skip
        darkest = [min(clip.frames[0][clip.labels[0] == n].mean() for n in (1, 2)) for clip in clips]
        assert (np.median(darkest) > 90) == (share == 1.0)
