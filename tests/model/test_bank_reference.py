"""The bank of slots against the reference, which goes row by row: the same rows, ages, uses, protection and counts.

Channels that go alone, over the slots that they fill, as on the CPU, and all together, as on a GPU.
"""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from model.bank import AdaptiveBank, BankConfig
from model.matcher import read
from model.slots import MOST_POSITIONS, Rows
from model.state import ChannelState
from tests.model.reference_bank import COUNTED, ReferenceBank, Row
from tests.properties import costly

C, V, POSITIONS = 6, 3, 8
READOUT_LIMIT = 1e-6


def in_order(rows: ChannelState) -> dict[str, Tensor]:
    """A channel's rows by insertion."""
    by_order = rows.order.argsort()
    return {name: x[by_order] for name, x in vars(rows).items()}


def assert_equal(found: ChannelState, expected: list[Row]) -> None:
    """Histories are equal; features, which merges have moved, to rounding."""
    rows = in_order(found)
    assert rows["order"].tolist() == [row.step * MOST_POSITIONS + row.position for row in expected]
    assert rows["prompt"].tolist() == [row.prompt for row in expected]
    assert torch.allclose(rows["use"], torch.stack([row.use for row in expected]), rtol=1e-6)
    for name in ("key", "value"):
        wanted = torch.stack([getattr(row, name) for row in expected])
        assert torch.allclose(rows[name], wanted, atol=2e-6), float((rows[name] - wanted).abs().max())


class Video:
    """Random frames for both banks."""

    def __init__(self, config: BankConfig, *, together: bool, seed: int) -> None:
        self.bank, self.reference = AdaptiveBank(config, together=together), ReferenceBank(config)
        self.together = together
        self.generator = torch.Generator().manual_seed(seed)
        self.objects = 0
        self.step = 0

    def frame(self, joining: int, prompted: list[bool], present: list[bool]) -> None:
        """`joining` objects are new and prompted; the others are `prompted` and `present` or not, as the lists say."""
        old, self.objects = self.objects, self.objects + joining
        channels = range(1 + self.objects)
        annotated = {c for c in channels if c > old or (c < len(prompted) and prompted[c])}
        annotated |= {0} if annotated else set()
        for bank in (self.bank, self.reference):
            bank.begin_frame(channels=len(channels), positions=POSITIONS, step=self.step)
        self.read()
        absent = {c for c in channels if c not in annotated and c < len(present) and not present[c]}
        self.absorb([c for c in channels if c in self.bank.channels or c in annotated], annotated, absent)
        self.check()
        self.step += 1

    def read(self) -> None:
        """The read-outs of all channels; both banks are credited."""
        if not self.bank.channels:
            return
        query = 4 * torch.randn(10, C, generator=self.generator)
        reads = [read(rows, query) for rows in self.bank.memory()]
        self.bank.credit([use for _, use in reads])
        readouts = torch.cat([readout for readout, _ in reads])
        for channel, readout in zip(self.bank.channels, readouts, strict=True):
            assert float((readout - self.reference.read(channel, query)).abs().max()) < READOUT_LIMIT

    def absorb(self, channels: list[int], annotated: set[int], absent: set[int]) -> None:
        new = self.rows(len(channels))
        for channel, key, value in zip(channels, new.key, new.value, strict=True):
            if channel not in absent:
                self.reference.absorb(channel, key, value, step=self.step, annotated=channel in annotated)
        if self.together and not annotated:  # as a GPU does, which does not know who is absent
            present = torch.tensor([channel not in absent for channel in channels])
            self.bank.absorb(channels, new, step=self.step, present_K=present)
        elif there := [line for line, channel in enumerate(channels) if channel not in absent]:
            rows = Rows(new.key[there], new.value[there])
            self.bank.absorb([channels[k] for k in there], rows, step=self.step, annotated=annotated)

    def rows(self, channels: int) -> Rows:
        """Few directions, so that merges occur, also of several rows into one."""
        directions = torch.randint(0, C, (channels, POSITIONS), generator=self.generator)
        noise = 0.25 * torch.randn(channels, POSITIONS, C, generator=self.generator)
        lengths = 0.5 + torch.rand(channels, POSITIONS, 1, generator=self.generator)
        return Rows(
            lengths * (torch.eye(C)[directions] + noise), torch.randn(channels, POSITIONS, V, generator=self.generator)
        )

    def check(self) -> None:
        found = self.bank.statistics()
        assert {name: getattr(found, name) for name in COUNTED} == self.reference.counts
        rows = self.reference.rows
        assert found.size == sum(map(len, rows.values()))
        held = sum(row.prompt > 0 for stored in rows.values() for row in stored)
        assert found.protected_share == held / found.size
        assert self.bank.channels == tuple(sorted(rows))
        for channel, expected in rows.items():
            assert_equal(self.bank.stored(channel), expected)


CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "appending": {"policy": "append"},
    "first and last": {"policy": "first_last"},
    "all protected": {"protection": 1.0},
    "as published": {
        "keep_norm": False,
        "merges_count_as_use": False,
        "append_prompts": False,
        "protection": 0.0,
        "published_shares": True,
    },
}
FRAMES = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 0, 0, 1, 2]),
        st.lists(st.sampled_from([False, False, False, True]), max_size=4),
        st.lists(st.sampled_from([True, True, True, False]), min_size=4, max_size=4),
    ),
    min_size=4,
    max_size=9,
)


@costly
@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("name", list(CONFIGURATIONS))
@given(plan=FRAMES, budget=st.integers(100, 190), seed=st.integers(0, 2**32 - 1))
def test_the_bank_equals_the_reference(
    name: str, together: bool, plan: list[tuple[int, list[bool], list[bool]]], budget: int, seed: int
) -> None:
    video = Video(BankConfig(budget=budget, merge_threshold=0.9, **CONFIGURATIONS[name]), together=together, seed=seed)
    video.frame(1, [], [])
    for joining, prompted, present in plan:
        video.frame(joining if video.objects < 4 else 0, prompted, present)


@pytest.mark.parametrize("together", [False, True])
def test_forty_frames_with_everything_that_happens(together: bool) -> None:
    """Merges, evictions, prompts, absent channels and objects that join all occur."""
    video = Video(BankConfig(budget=130, merge_threshold=0.9), together=together, seed=3)
    seen = dict.fromkeys(COUNTED, 0)
    for step in range(40):
        video.frame(int(step in (0, 9, 17)), [step % 11 == 5] * 2, [True, step % 4 > 0, step % 3 > 0, True])
        seen = {name: seen[name] + video.reference.counts[name] for name in COUNTED}
    assert video.objects == 3
    assert min(seen[name] for name in ("merged", "appended", "evicted")) > 30
