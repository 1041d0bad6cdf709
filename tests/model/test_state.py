"""A segmenter's state as bytes, and what cannot go on with it."""

import json
from dataclasses import replace
from typing import Any

import pytest
import torch

from model.bank import BankConfig
from model.effect import effective
from model.errors import BadState
from model.nearby import Nearby
from model.place import seen
from model.segmenter import SegmenterConfig
from model.state import STATE_VERSION, BankState, ChannelState, CutState, LastFrame, SegmenterState
from model.tensor_file import pack, unpack

WEIGHTS = "0123456789abcdef"


def channel(rows: int) -> ChannelState:
    generator = torch.Generator().manual_seed(rows)
    return ChannelState(
        key=torch.randn(rows, 4, generator=generator),
        value=torch.randn(rows, 6, generator=generator),
        order=torch.arange(rows),
        use=torch.rand(rows, generator=generator),
        prompt=torch.zeros(rows, dtype=torch.int64),
    )


PLACES = LastFrame((0, 300), (32, 48), seen(torch.rand(2, 32, 48, generator=torch.Generator().manual_seed(0))))

NEARBY = LastFrame(
    (0, 2**31 - 1), (32, 48), Nearby(torch.rand(2, 6, 4), torch.rand(2, 6, 6), torch.tensor([True, False]))
)


def state(config: SegmenterConfig | None = None, **changes: Any) -> SegmenterState:
    given: dict[str, Any] = {
        "settings": effective(config or SegmenterConfig()),
        "weights": WEIGHTS,
        "step": 7,
        "planned": (1, 300),
        "objects": (300, 2**31 - 1),
        "places": PLACES,
        "nearby": NEARBY,
        "bank": BankState(channels={0: channel(5), 300: channel(0), 2**31 - 1: channel(3)}, prompts={0: 1, 300: 2}),
        "cuts": CutState(looks=torch.rand(3, 8), fade_step=0.1, fade_frames_left=2, quiet_frames=5),
    }
    return SegmenterState(**given | changes)


def written_by_hand(**changes: object) -> bytes:
    """A state whose header says something else."""
    header, rows = unpack(state().to_bytes())
    return pack(rows, {name: json.dumps({**json.loads(text), **changes}) for name, text in header.items()})


# Bytes


def test_a_state_comes_back_from_its_bytes() -> None:
    before = state()
    after = SegmenterState.from_bytes(before.to_bytes())
    apart = {"bank": None, "places": None, "nearby": None, "cuts": None}
    assert vars(after) | apart == vars(before) | apart
    for one, other in ((after.places, PLACES), (after.nearby, NEARBY)):
        assert one is not None
        assert (one.channels, one.picture_size) == (other.channels, other.picture_size)
        assert type(one.seen) is type(other.seen)
        assert all(map(torch.equal, one.seen, other.seen))
    assert torch.equal(after.cuts.looks, before.cuts.looks)
    assert vars(after.cuts) | {"looks": None} == vars(before.cuts) | {"looks": None}
    assert after.bank.prompts == before.bank.prompts
    assert list(after.bank.channels) == list(before.bank.channels)
    for number, rows in before.bank.channels.items():
        again = vars(after.bank.channels[number])
        assert all(torch.equal(again[name], tensor) for name, tensor in vars(rows).items())
        assert all(again[name].dtype == tensor.dtype for name, tensor in vars(rows).items())


def test_a_state_of_nothing_comes_back_too() -> None:
    nothing = torch.zeros(0, 0)
    cuts = CutState(looks=nothing, fade_step=0.0, fade_frames_left=0, quiet_frames=0)
    bank = BankState(channels={}, prompts={})
    empty = state(step=0, planned=(), objects=(), bank=bank, places=None, nearby=None, cuts=cuts)
    after = SegmenterState.from_bytes(empty.to_bytes())
    assert after.cuts.looks.shape == nothing.shape
    assert replace(after, cuts=replace(after.cuts, looks=nothing)) == empty


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no state",
        state().to_bytes()[:-1],
        pack({}, {"format": "vos-batch-1"}),
        pack({}, {"segmenter": "[]"}),
        pack({}, {"segmenter": "{}"}),
        written_by_hand(channels=[0, 300, 2**31 - 1, 4]),
        written_by_hand(prompts=3),
        written_by_hand(more=1),
    ],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BadState, match="no state of a segmenter, or damaged"):
        SegmenterState.from_bytes(data)


# What it was made with


def test_a_segmenter_of_the_same_kind_goes_on() -> None:
    state().check(settings=effective(SegmenterConfig()), weights=WEIGHTS)
    SegmenterState.from_bytes(state().to_bytes()).check(settings=effective(SegmenterConfig()), weights=WEIGHTS)


def test_what_has_no_effect_may_differ() -> None:
    other = SegmenterConfig(object_chunk=1, workspace=5, bank=BankConfig(segment_mean="torch-scatter"))
    state().check(settings=effective(other), weights=WEIGHTS)


@pytest.mark.parametrize(
    ("made", "own", "message"),
    [
        ({"memory_every": 5}, {}, "this state was made with memory_every 5, this segmenter has 1"),
        ({}, {"precision": "bf16"}, "this state was made with precision fp32, this segmenter has bf16"),
        ({"bank": BankConfig(budget=9)}, {}, "this state was made with bank.budget 9, this segmenter has None"),
        ({"max_side": 0, "refine": False}, {}, "max_side 0, this segmenter has 864; .* refine False, .* has True"),
    ],
)
def test_another_configuration_is_refused_by_name(made: dict[str, Any], own: dict[str, Any], message: str) -> None:
    with pytest.raises(BadState, match=message):
        state(SegmenterConfig(**made)).check(settings=effective(SegmenterConfig(**own)), weights=WEIGHTS)


@pytest.mark.parametrize(
    ("made", "own", "message"),
    [
        ({"later": 3}, {}, "was made with later 3, this segmenter has none"),
        ({}, {"later": 3}, "was made without later, this segmenter has 3"),
        ({}, {"later": None}, "was made without later, this segmenter has None"),
    ],
)
def test_a_setting_that_one_of_them_lacks_is_refused_too(
    made: dict[str, Any], own: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadState, match=message):
        state(settings=made).check(settings=own, weights=WEIGHTS)


def test_other_weights_are_refused_by_their_fingerprint() -> None:
    with pytest.raises(BadState, match=f"made with the weights {WEIGHTS}, this segmenter has fedcba"):
        state().check(settings=effective(SegmenterConfig()), weights="fedcba")


def test_another_version_is_refused_by_its_number() -> None:
    message = f"this state has version 99, this segmenter reads {STATE_VERSION}"
    with pytest.raises(BadState, match=message):
        state(version=99).check(settings=effective(SegmenterConfig()), weights=WEIGHTS)
    with pytest.raises(BadState, match=message):  # also where the rest cannot be read
        SegmenterState.from_bytes(written_by_hand(version=99, channels="?"))
