"""Hints in training: which are missing and wrong."""

import numpy as np
import torch
from torch import Tensor

from model.clip import Clip
from model.doubt import Doubts, doubts
from model.place import Place, hint, seen

CPU = torch.device("cpu")
CHANNELS, FRAMES, CLIPS = 4, 3, 300


def clips(number: int) -> list[Clip]:
    """That differ in their labels, which alone are looked at."""
    rng = np.random.default_rng(0)
    shape = (FRAMES, 16, 16)
    return [
        Clip(frames=np.zeros((*shape, 3), np.uint8), labels=rng.integers(0, CHANNELS, shape, np.uint8))
        for _ in range(number)
    ]


def true(channels: int) -> Doubts:
    """Of one clip."""
    none = torch.zeros(1, channels, dtype=torch.bool)
    zeros = torch.zeros(1, channels)
    return Doubts(
        begin_BK=torch.ones(1, channels, dtype=torch.int64),
        missing_BK=none,
        outdated_BK=none.clone(),
        offset_BK2=zeros[..., None].repeat(1, 1, 2),
        leak_BK=zeros,
        other_BK=torch.full((1, channels), -1),
        blob_BK3=zeros[..., None].repeat(1, 1, 3),
        hole_BK3=zeros[..., None].repeat(1, 1, 3),
    )


def squares() -> tuple[Place, Tensor]:
    """Background and two objects of 32 x 32 pixels, 4 x 4 positions, and the masks [3, 128, 128]."""
    masks = torch.zeros(3, 128, 128)
    masks[1, 32:64, 32:64], masks[2, 32:64, 80:112] = 1, 1
    masks[0] = 1 - masks[1:].sum(dim=0)
    return seen(masks), masks


def test_a_clip_has_its_doubts_whoever_learns_from_it() -> None:
    few = clips(5)
    whole = doubts(few, CHANNELS, CPU)
    parts = [doubts(part, CHANNELS, CPU) for part in (few[:2], few[2:])]
    for field, (one, other) in zip(whole, zip(*parts, strict=True), strict=True):
        torch.testing.assert_close(field, torch.cat([one, other]))


def test_some_hints_are_missing_some_are_wrong_and_most_are_true() -> None:
    found = doubts(clips(CLIPS), CHANNELS, CPU)
    missing, late, off = (found.missing_BK, found.outdated_BK, found.offset_BK2.any(dim=2))
    assert 0.1 < float(missing.float().mean()) < 0.3
    assert 0.05 < float(missing.all(dim=1).float().mean()) < 0.2  # of whole clips
    assert 0.04 < float(late[:, 1:].float().mean()) < 0.15
    cut = off[:, 0]
    assert 0.05 < float(cut.float().mean()) < 0.2
    assert 0.04 < float(off[~cut, 1:].float().mean()) < 0.15
    ways = found.offset_BK2[cut]
    assert bool((ways == ways[:, :1]).all())
    leaks, holes = found.leak_BK > 0, found.hole_BK3[..., 2] > 0
    assert 0.2 < float(leaks[:, 1:].float().mean()) < 0.4
    assert 0.15 < float(holes[:, 1:].float().mean()) < 0.35
    wrong = late | leaks | holes
    assert not bool(wrong[:, 0].any())  # the background alone is never wrong: it is everywhere else
    assert float((~(wrong | missing | off))[:, 1:].float().mean()) > 0.3
    others = found.other_BK
    assert bool((others != torch.arange(CHANNELS)).all())
    assert set(others[:, 1:].unique().tolist()) == {-1, 1, 2, 3}
    assert set(found.begin_BK.unique().tolist()) == {1, 2}
    assert bool((found.begin_BK == found.begin_BK[:, :1]).all())


def test_what_leaks_into_one_of_two_objects_is_a_blob_for_there_is_no_other() -> None:
    assert set(doubts(clips(3), 2, CPU).other_BK.unique().tolist()) == {-1}


def test_what_is_told_in_doubt() -> None:
    """Of five channels the third to fifth are missing, of the first frame, and a quarter of the side off."""
    first, now = torch.zeros(5, 64, 64), torch.zeros(5, 64, 64)
    first[:, :16, :16], now[:, 32:48, 32:48] = 1, 1
    wrong = true(5)
    wrong.missing_BK[0, 2], wrong.outdated_BK[0, 3], wrong.offset_BK2[0, 4] = True, True, torch.tensor([-0.25, 0.25])
    place = seen(now)
    found, right = hint(wrong.about(place, seen(first), 1)), hint(place)
    torch.testing.assert_close(found[:2], right[:2])
    assert not bool(found[2].any())
    torch.testing.assert_close(found[3], hint(seen(first))[3])
    torch.testing.assert_close(found[4, 0], right[4, 0].roll((-2, 2), (0, 1)), atol=1e-4, rtol=0)


def test_doubt_begins_in_the_middle_of_a_clip_and_lasts() -> None:
    place, _ = squares()
    wrong = true(3)._replace(begin_BK=torch.full((1, 3), 2), missing_BK=torch.ones(1, 3, dtype=torch.bool))
    torch.testing.assert_close(hint(wrong.about(place, place, 1)), hint(place))
    for frame in (2, 3):
        assert not bool(hint(wrong.about(place, place, frame)).any())


def test_a_blob_beside_an_object_leaks_into_it_and_is_lost_by_what_was_there() -> None:
    place, _ = squares()
    wrong = true(3)
    wrong.leak_BK[0, 1], wrong.blob_BK3[0, 1] = 0.75, torch.tensor([2.0, 0.0, 0.5])  # 8 positions below, radius 2
    told = wrong.about(place, place, 1).map_Nyx
    torch.testing.assert_close(told.sum(dim=0), torch.ones(16, 16))
    more, less = told[1] - place.map_Nyx[1], place.map_Nyx[0] - told[0]
    torch.testing.assert_close(more, less)
    assert float(more.max()) == 0.75
    rows, columns = more.nonzero().unbind(dim=1)
    assert (int(rows.min()), int(rows.max())) == (12, 15)
    assert (int(columns.min()), int(columns.max())) == (4, 7)
    torch.testing.assert_close(told[2], place.map_Nyx[2])


def test_a_neighbour_leaks_into_an_object_that_then_has_most_of_it() -> None:
    place, _ = squares()
    wrong = true(3)
    wrong.leak_BK[0, 1], wrong.other_BK[0, 1] = 0.75, 2
    told = wrong.about(place, place, 1).map_Nyx
    torch.testing.assert_close(told[1], place.map_Nyx[1] + 0.75 * place.map_Nyx[2])
    torch.testing.assert_close(told[2], 0.25 * place.map_Nyx[2])
    torch.testing.assert_close(told[0], place.map_Nyx[0])


def test_a_part_that_is_lost_is_background() -> None:
    place, _ = squares()
    wrong = true(3)
    wrong.hole_BK3[0, 2] = torch.tensor([-0.5, 0.0, 0.25])
    told = wrong.about(place, place, 1).map_Nyx
    lost = place.map_Nyx[2] - told[2]
    assert float(lost.max()) > 0.5
    assert 1 < float(lost.sum()) < 8
    torch.testing.assert_close(told[0] - place.map_Nyx[0], lost)
    torch.testing.assert_close(told[1], place.map_Nyx[1])
