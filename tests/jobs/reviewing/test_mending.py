"""What corrections are expected to mend."""

from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from jobs.reviewing.mending import Mendable, Mending, Pick

LASTING = Mending(behind=0.8, half_life=10)


def mendable(
    *losses: list[float], prompted: tuple[int, ...] = (0,), empty: tuple[int, ...] = (), mending: Mending = LASTING
) -> Mendable:
    loss_KT = np.array(losses)
    return Mendable(
        loss_KT,
        known_KT=np.ones(loss_KT.shape, np.bool_),
        prompted_KT=np.broadcast_to(marked(loss_KT.shape[1], prompted), loss_KT.shape),
        empty_KT=np.broadcast_to(marked(loss_KT.shape[1], empty), loss_KT.shape),
        mending=mending,
    )


def marked(frames: int, places: tuple[int, ...]) -> NDArray[np.bool_]:
    return np.isin(np.arange(frames), places)


def picks(found: Mendable, number: int = 100) -> list[Pick]:
    return list(islice(found.picks(), number))


def test_the_first_pick_is_where_a_bad_stretch_begins() -> None:
    loss = [0.0] * 20 + [0.2] + [0.9] * 10 + [0.0] * 20
    (first,) = picks(mendable(loss), 1)
    assert first.place == 21, "frame 20 is nearly right yet: a correction there teaches little"


def test_a_gain_is_what_a_correction_mends() -> None:
    loss = [0.0] * 70 + [0.5] * 3  # far from the prompt, which mends nothing there
    (first,) = picks(mendable(loss), 1)
    assert first.place == 70
    assert first.gain == pytest.approx(0.5 * (1 + 0.8 * 0.5**0.1 + 0.8 * 0.5**0.2))


def test_without_a_lasting_effect_the_worst_frame_comes_first() -> None:
    loss = [0.0] * 10 + [0.5, 0.5, 0.9, 0.5, 0.5]
    assert picks(mendable(loss, mending=Mending(behind=0.0)), 1)[0].place == 12


def test_far_from_prompts_a_correction_is_worth_more_than_near_one() -> None:
    loss = [0.0, *[0.5] * 120]
    assert picks(mendable(loss), 1)[0].place > 20


def test_nothing_is_gained_behind_the_next_prompt() -> None:
    loss = [0.0] * 80 + [0.5] * 60
    with_prompt, without = (picks(mendable(loss, prompted=places), 1)[0] for places in ((0, 90), (0,)))
    assert without.place == 80
    assert with_prompt.place == 110 or with_prompt.gain < without.gain


def test_where_no_pixel_was_found_an_answer_is_worth_less() -> None:
    loss = [0.0] * 70 + [0.9] * 10
    assert picks(mendable(loss), 1)[0].place == 70
    assert picks(mendable(loss, empty=(70, 71)), 1)[0].place == 72, "there is a pixel, so the object is to be seen"


def test_a_right_mask_just_before_a_bad_stretch_is_not_asked_about() -> None:
    loss = [0.0] * 70 + [0.9] * 10
    assert 69 not in [pick.place for pick in picks(mendable(loss, empty=tuple(range(70, 80))))]


def test_objects_that_are_corrected_together_add_up() -> None:
    one, two = [0.0] * 70 + [0.5] * 5, [0.0] * 70 + [0.4] * 5
    together = picks(mendable(one, two), 1)[0]
    alone = [picks(mendable(loss), 1)[0].gain for loss in (one, two)]
    assert together.gain == pytest.approx(sum(alone))
    assert together.worst == 0


def test_closed_frames_are_never_picked() -> None:
    found = mendable([0.0] * 70 + [0.5] * 10)
    found.close(~marked(80, (75,)))
    assert [pick.place for pick in picks(found)] == [75]


def test_nobody_is_asked_where_nothing_is_lost() -> None:
    assert picks(mendable([0.0] * 10)) == []
    assert picks(mendable([])) == []


losses = st.lists(st.floats(0, 1, width=16), min_size=1, max_size=120)


@given(losses, st.integers(0, 10), st.floats(0, 1), st.floats(1, 30))
def test_gains_never_rise_and_events_never_meet(loss: list[float], apart: int, behind: float, half: float) -> None:
    found = picks(mendable(loss, mending=Mending(behind=behind, half_life=half, apart=apart)))
    assert all(one.gain >= other.gain for one, other in pairwise(found))
    assert all(one.first <= one.place <= one.last for one in found)
    frames = [frame for one in found for frame in range(one.first, one.last + 1)]
    assert len(frames) == len(set(frames))
    assert all(place != 0 for place, *_ in found), "it has a prompt"


@given(losses)
def test_no_more_is_mended_than_was_lost(loss: list[float]) -> None:
    loss[0] = 0.0
    unmended = Mending(behind=0.0, apart=0)  # a correction mends its own frame alone
    assert sum(pick.gain for pick in picks(mendable(loss, mending=unmended), 200)) == pytest.approx(sum(loss))


def test_a_long_video_is_counted_in_pieces_to_the_same_gains() -> None:
    loss = [0.0, *np.random.default_rng(0).random(9_000).tolist()]
    late = picks(mendable(loss[:1] + loss[5_000:]), 3)
    found = mendable(loss)
    found.close(np.arange(len(loss)) < 5_100)
    near = mendable(loss[:1] + loss[5_000:])
    near.close(np.arange(len(loss) - 4_999) < 101)
    assert late
    assert [(one.place, one.gain) for one in picks(found, 5)] == [
        (one.place + 4_999, pytest.approx(one.gain)) for one in picks(near, 5)
    ]
