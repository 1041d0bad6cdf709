"""Hints in training: which are missing and wrong."""

import torch

from model.clip import Clip
from model.doubt import Doubts, doubts
from model.place import hint, seen
from model.synthetic import make_clip

CPU = torch.device("cpu")
CHANNELS = 4


def clips(number: int) -> list[Clip]:
    return [make_clip(seed, num_frames=1, height=32, width=32, num_objects=3) for seed in range(number)]


def test_a_clip_has_its_doubts_whoever_learns_from_it() -> None:
    few = clips(5)
    whole = doubts(few, CHANNELS, CPU)
    parts = [doubts(part, CHANNELS, CPU) for part in (few[:2], few[2:])]
    for field, (one, other) in zip(whole, zip(*parts, strict=True), strict=True):
        torch.testing.assert_close(field, torch.cat([one, other]))


def test_some_hints_are_missing_some_are_wrong_and_most_are_true() -> None:
    found = doubts(clips(300), CHANNELS, CPU)
    missing, late, off = (values.reshape(300, CHANNELS, -1).any(dim=2).float() for values in found)
    assert 0.1 < float(missing.mean()) < 0.3
    assert 0.05 < float(missing.min(dim=1).values.mean()) < 0.2  # of whole clips
    assert 0.05 < float(late[:, 1:].mean()) < 0.15
    assert float(late[:, 0].sum()) == 0  # the background alone is never wrong: it is everywhere else
    cut = off[:, 0] > 0
    assert 0.1 < float(cut.float().mean()) < 0.2
    assert 0.05 < float(off[~cut, 1:].mean()) < 0.15
    ways = found.offset_N2.unflatten(0, (300, CHANNELS))[cut]
    assert bool((ways == ways[:, :1]).all())


def test_what_is_told_in_doubt() -> None:
    """Of five channels the third to fifth are missing, of the first frame, and a quarter of the side off."""
    first, now = torch.zeros(5, 64, 64), torch.zeros(5, 64, 64)
    first[:, :16, :16], now[:, 32:48, 32:48] = 1, 1
    wrong = Doubts(
        torch.tensor([False, False, True, False, False]),
        torch.tensor([False, False, False, True, False]),
        torch.tensor([[0.0, 0.0]] * 4 + [[-0.25, 0.25]]),
    )
    place = seen(now)
    found, true = hint(wrong.about(place, seen(first))), hint(place)
    torch.testing.assert_close(found[:2], true[:2])
    assert not bool(found[2].any())
    torch.testing.assert_close(found[3], hint(seen(first))[3])
    torch.testing.assert_close(found[4, 0], true[4, 0].roll((-2, 2), (0, 1)), atol=1e-4, rtol=0)
