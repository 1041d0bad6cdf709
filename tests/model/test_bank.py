"""The adaptive feature bank: merge the known, append the novel, evict the least used, never more than the budget.

Legend: M stored rows of a channel, C key width, [1, ..] one channel. Keys are mostly unit vectors along different
axes: cosine 0, so novel.
"""

import copy
import math
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from model.bank import AdaptiveBank, BankConfig
from model.errors import BudgetTooSmall, NonFinite
from model.slots import MOST_POSITIONS, Rows, Slots, at, evict, merge, nearest, put
from model.state import BankState, ChannelState
from tests.model.recorders import Operations

C = 64
OBJECT = 1
CPU = torch.device("cpu")


def novel(first: int, count: int) -> Rows:
    """Rows along the axes `first`, `first + 1`, ...: unlike each other and all others."""
    key = torch.zeros(count, C)
    key[torch.arange(count), (first + torch.arange(count)) % C] = 1
    return Rows(key[None], 2 * key[None, :, :8] + 1)


def towards(axis: int, other: int, cosine: float, length: float = 1.0) -> Tensor:
    """A key [1, 1, C] at this cosine to an axis, leaning towards another."""
    key = torch.zeros(1, 1, C)
    key[0, 0, axis], key[0, 0, other] = length * cosine, length * math.sqrt(1 - cosine**2)
    return key


def stored(bank: AdaptiveBank, channel: int = OBJECT) -> ChannelState:
    """A copy of a channel's rows, in order of insertion."""
    rows = bank.stored(channel)
    by_order = rows.order.argsort()
    return ChannelState(**{name: x[by_order] for name, x in vars(rows).items()})


def axes(rows: ChannelState) -> list[int]:
    """The axis of each stored key."""
    return rows.key.argmax(dim=1).tolist()


def ones(count: int) -> Tensor:
    """Values of so many rows."""
    return torch.ones(1, count, 8)


def bank_with_share(share: int, channels: int = 2, **config: Any) -> AdaptiveBank:
    """A bank at step 0 whose channels may hold `share` rows each."""
    bank = AdaptiveBank(BankConfig(budget=share * channels, **config))
    bank.begin_frame(channels=channels, positions=1, step=0)
    return bank


def feed(bank: AdaptiveBank, new: Rows, *, step: int, annotated: bool = False, channels: int = 2) -> None:
    """One frame of one object."""
    bank.begin_frame(channels=channels, positions=1, step=step)
    bank.absorb([OBJECT], new, step=step, annotated=[OBJECT] if annotated else [])


def row_state(inserted: list[int], use: list[float], prompt: list[int] | None = None) -> ChannelState:
    """Rows along the axes 0, 1, ... with this history."""
    rows = novel(0, len(use))
    return ChannelState(
        key=rows.key[0],
        value=rows.value[0],
        order=torch.tensor(inserted) * MOST_POSITIONS + torch.arange(len(use)),
        use=torch.tensor(use, dtype=torch.float32),
        prompt=torch.tensor(prompt or [0] * len(use)),
    )


def restore(bank: AdaptiveBank, rows: ChannelState) -> None:
    """Give a bank these rows of one object."""
    bank.restore(BankState(channels={OBJECT: rows}, prompts={}), CPU)


def slots(rows: ChannelState) -> Slots:
    """One channel's rows, and no slot that holds nothing."""
    return Slots(**{name: x[None].clone() for name, x in vars(rows).items()})


def equal(a: ChannelState, b: ChannelState) -> bool:
    return all(map(torch.equal, vars(a).values(), vars(b).values()))


# --- eviction ------------------------------------------------------------------------------------------------------


def test_eviction_frees_exactly_the_rows_that_are_needed() -> None:
    bank = bank_with_share(1000)
    generator = torch.Generator().manual_seed(0)
    state = row_state([0] * 1000, (3 * torch.rand(1000, generator=generator)).tolist())
    restore(bank, state)
    bank.absorb([OBJECT], Rows(-torch.ones(1, 1, C), ones(1)), step=10)
    assert bank.statistics().evicted == 1
    assert len(stored(bank).use) == 1000


def test_eviction_takes_the_lowest_use_per_age_first() -> None:
    bank = bank_with_share(4)
    # Use per age at step 10: 0.5, 0.3, 2.0, 0.4; by use alone row 2 and 3 would go.
    restore(bank, row_state([0, 0, 9, 5], [5, 3, 2, 2]))
    feed(bank, novel(20, 2), step=10)
    assert axes(stored(bank)) == [0, 2, 20, 21]


def test_ties_go_oldest_first() -> None:
    bank = bank_with_share(5)
    restore(bank, row_state([0, 1, 2, 3, 4], [0, 0, 9, 0, 0]))
    feed(bank, novel(20, 2), step=10)
    assert axes(stored(bank)) == [2, 3, 4, 20, 21]


def test_a_row_of_this_very_step_has_age_one() -> None:
    bank = bank_with_share(2)
    restore(bank, row_state([3, 3], [1, 0]))
    feed(bank, novel(20, 1), step=3)
    assert axes(stored(bank)) == [0, 20]


histories = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4), st.booleans()), min_size=1, max_size=40)


@given(history=histories, count=st.integers(0, 45))
def test_eviction_equals_a_plain_sort(history: list[tuple[int, int, bool]], count: int) -> None:
    history = sorted(history, key=lambda row: row[0])
    inserted, use, protected = (list(column) for column in zip(*history, strict=True))
    rows = slots(row_state(inserted, use, [int(p) for p in protected]))
    rows.value[0, :, 0] = torch.arange(len(history))
    scores = np.array(use, np.float32) / np.array([max(1, 9 - t) for t in inserted], np.float32)
    free = [i for i, is_protected in enumerate(protected) if not is_protected]
    gone = set(sorted(free, key=lambda i: (scores[i], i))[:count])
    assert evict(rows, torch.tensor([count]), step=9).tolist() == [len(gone)]
    left = [i for i in range(len(history)) if i not in gone]
    assert rows.value[0, : len(left), 0].tolist() == left
    assert (rows.order[0, len(left) :] == -1).all()


def test_eviction_moves_no_row_that_stays() -> None:
    bank = bank_with_share(20)
    feed(bank, novel(0, 20), step=0)
    before = bank.stored(OBJECT).key.clone()
    feed(bank, novel(30, 5), step=1)
    after = bank.stored(OBJECT)
    changed = (after.key != before).any(dim=1)
    assert int(changed.sum()) == 5
    assert (after.inserted[changed] == 1).all()


# --- the budget ----------------------------------------------------------------------------------------------------


class Video:
    """A random video's calls on a bank, with what must hold after each of them."""

    def __init__(self, policy: Literal["adaptive", "append", "first_last"], budget: int, protection: float) -> None:
        self.config = BankConfig(policy=policy, budget=budget, protection=protection)
        self.bank = AdaptiveBank(self.config)
        self.objects = 1
        self.step = 0
        self.generator = torch.Generator().manual_seed(budget)

    def frame(self, joining: int, counts: list[int], annotated: bool) -> None:
        """`joining` new objects, then one call of `absorb` a channel with these numbers of rows."""
        self.objects += joining
        before = self.bank.statistics().size
        self.bank.begin_frame(channels=1 + self.objects, positions=1, step=self.step)
        self.check()
        entering = 0
        for channel, count in zip(range(1 + self.objects), counts, strict=False):
            self.bank.absorb([channel], self.rows(count), step=self.step, annotated=[channel] if annotated else [])
            entering += count
            self.check()
            self.credit()
        found = self.bank.statistics()
        assert found.merged + found.appended + found.dropped == entering
        assert found.size == before + found.appended - found.evicted
        self.step += 1

    def credit(self) -> None:
        self.bank.credit([torch.rand(rows.key.shape[:2], generator=self.generator) for rows in self.bank.memory()])

    def rows(self, count: int) -> Rows:
        """Few directions, so that merges occur."""
        directions = torch.randint(0, 6, (1, count), generator=self.generator)
        noise = 0.1 * torch.randn(1, count, C, generator=self.generator)
        return Rows(torch.eye(C)[directions] + noise, torch.randn(1, count, 8, generator=self.generator))

    def check(self) -> None:
        share = self.config.share(1 + self.objects, 1)
        for channel in self.bank.channels:
            rows = self.bank.stored(channel)
            assert len(rows.use) <= share
            most = share - 1 if self.config.policy == "first_last" else self.config.protection * share
            assert int((rows.prompt > 0).sum()) <= most


frames = st.lists(
    st.tuples(st.integers(0, 1), st.lists(st.integers(1, 25), min_size=1, max_size=5), st.booleans()),
    min_size=1,
    max_size=12,
)


@pytest.mark.parametrize("policy", ["adaptive", "append", "first_last"])
@given(plan=frames, budget=st.integers(28, 90), protection=st.sampled_from([0.0, 0.5, 1.0]))
def test_the_budget_always_holds_and_every_row_is_counted(
    policy: Literal["adaptive", "append", "first_last"],
    plan: list[tuple[int, list[int], bool]],
    budget: int,
    protection: float,
) -> None:
    video = Video(policy, budget, protection)
    for joining, counts, annotated in plan:
        video.frame(joining, counts, annotated)


def test_a_first_frame_above_the_share_is_cut_and_counted() -> None:
    bank = bank_with_share(10)
    bank.absorb([OBJECT], novel(0, 25), step=0, annotated=[OBJECT])
    found = bank.statistics()
    assert (found.size, found.appended, found.dropped, found.evicted) == (10, 10, 15, 0)


def test_a_later_frame_above_the_share_is_cut_and_counted() -> None:
    bank = bank_with_share(10)
    feed(bank, novel(0, 4), step=0)
    feed(bank, novel(10, 25), step=1)
    found = bank.statistics()
    assert (found.size, found.appended, found.dropped, found.evicted) == (10, 10, 15, 4)
    assert set(axes(stored(bank))) <= set(range(10, 35))


def test_of_new_rows_that_do_not_fit_the_least_similar_are_kept_in_their_order() -> None:
    bank = bank_with_share(4)
    feed(bank, novel(0, 2), step=0, annotated=True)  # both protected: half of a share of 4
    cosines = [0.3, 0.9, 0.1, 0.8, 0.2]
    keys = torch.cat([towards(0, 10 + i, cosine) for i, cosine in enumerate(cosines)], dim=1)
    feed(bank, Rows(keys, torch.zeros(1, 5, 8)), step=1)
    assert bank.statistics().dropped == 3
    assert stored(bank).key[2:, 0].tolist() == pytest.approx([0.1, 0.2])


def test_default_budget_holds_two_frames_of_every_channel() -> None:
    assert BankConfig().resolve_budget(2, 1620) == 40_000
    assert BankConfig().resolve_budget(13, 1620) == 2 * 13 * 1620
    assert BankConfig().share(13, 1620) == 2 * 1620


def test_a_budget_below_two_frames_of_every_channel_is_refused_with_the_numbers() -> None:
    config = BankConfig(budget=9719)
    with pytest.raises(BudgetTooSmall, match=r"9719 rows.* 3 channels.* 1620 positions.*at least 9720.*max_side"):
        config.resolve_budget(3, 1620)
    assert BankConfig(budget=9720).resolve_budget(3, 1620) == 9720
    with pytest.raises(BudgetTooSmall):
        AdaptiveBank(config).begin_frame(channels=3, positions=1620, step=0)


# --- annotated features --------------------------------------------------------------------------------------------


def test_annotated_features_are_appended_also_where_they_are_known() -> None:
    bank = bank_with_share(30)
    feed(bank, novel(0, 5), step=0)
    before = stored(bank)
    feed(bank, novel(0, 5), step=1, annotated=True)
    assert (bank.statistics().merged, bank.statistics().appended) == (0, 5)
    assert torch.equal(stored(bank).key[:5], before.key)
    assert torch.equal(stored(bank).use[:5], before.use)


def test_annotated_features_survive_any_flood_up_to_half_a_share() -> None:
    bank = bank_with_share(10)
    feed(bank, novel(0, 8), step=0, annotated=True)
    assert bank.statistics().protected_share == pytest.approx(5 / 8)
    for step in range(1, 30):
        feed(bank, novel(8 + 7 * step % 50, 9), step=step)
    assert stored(bank).inserted[:5].tolist() == [0] * 5
    assert int((stored(bank).inserted == 0).sum()) == 5
    assert axes(stored(bank))[:5] == [3, 4, 5, 6, 7]
    assert bank.statistics().protected_share == 0.5


def test_the_oldest_prompts_lose_protection_first_and_the_first_prompt_last() -> None:
    bank = bank_with_share(12)
    for step in range(4):
        feed(bank, novel(3 * step, 3), step=step, annotated=True)
    flood(bank)
    assert axes(stored(bank))[:6] == [0, 1, 2, 9, 10, 11]


def flood(bank: AdaptiveBank) -> None:
    """Evict all that is not protected."""
    share = bank.config.share(2, 1)
    feed(bank, novel(30, share), step=50)


def test_the_first_prompt_loses_protection_when_it_alone_is_above_half_a_share() -> None:
    bank = bank_with_share(12)
    feed(bank, novel(0, 9), step=0, annotated=True)
    feed(bank, novel(10, 3), step=1, annotated=True)
    flood(bank)
    assert [axis for axis in axes(stored(bank)) if axis < 30] == [3, 4, 5, 6, 7, 8]


def test_first_prompts_are_counted_for_each_channel() -> None:
    bank = bank_with_share(4)
    for step, channels in enumerate([[0], [0, OBJECT], [OBJECT]]):
        bank.begin_frame(channels=2, positions=1, step=step)
        for channel in channels:
            first = 2 * step if channel == 0 else 2 * step - 2
            bank.absorb([channel], novel(first, 2), step=step, annotated=[channel])
    for channel in (0, OBJECT):
        bank.absorb([channel], novel(30, 4), step=3)
        assert [axis for axis in axes(stored(bank, channel)) if axis < 30] == [0, 1]


def test_later_predicted_features_may_merge_into_annotated_ones() -> None:
    bank = bank_with_share(10)
    feed(bank, novel(0, 2), step=0, annotated=True)
    feed(bank, Rows(towards(0, 9, 0.97), ones(1)), step=1)
    assert bank.statistics().merged == 1
    assert float(stored(bank).key[0, 9]) > 0


# --- merging -------------------------------------------------------------------------------------------------------


def test_known_features_merge_and_novel_ones_are_appended() -> None:
    bank = bank_with_share(20)
    feed(bank, novel(0, 4), step=0)
    keys = torch.cat([towards(1, 30, 0.951), towards(2, 31, 0.949), towards(40, 41, 0.5)], dim=1)
    feed(bank, Rows(keys, ones(3)), step=1)
    found = bank.statistics()
    assert (found.merged, found.appended, found.size) == (1, 2, 6)
    assert stored(bank).inserted.tolist() == [0, 0, 0, 0, 1, 1]


def merge_into(rows: Slots, new: Rows, **settings: Any) -> None:
    """All new rows into the first slot."""
    target = torch.zeros(new.key.shape[:2], dtype=torch.int64)
    moved, count = merge(Rows(at(rows.key, target), at(rows.value, target)), new, target, **settings)
    put(rows.key, target, moved.key)
    put(rows.value, target, moved.value)
    assert (count == new.key.shape[1]).all()


def test_merge_moves_the_direction_by_the_update_rate_towards_the_mean_of_the_normalised_features() -> None:
    rows = slots(row_state([0], [0.0]))
    rows.key[0] *= 5
    new = torch.cat([towards(0, 1, 0.96, length=7), towards(0, 2, 0.98, length=0.5)], dim=1)
    merge_into(rows, Rows(new, ones(2)), rate=0.1, keep_norm=True)
    wanted = 0.9 * torch.eye(C)[0] + 0.1 * (towards(0, 1, 0.96)[0, 0] + towards(0, 2, 0.98)[0, 0]) / 2
    assert torch.allclose(rows.key[0, 0], 5 * wanted / wanted.norm(), atol=1e-5)


@pytest.mark.parametrize("keep_norm", [True, False])
def test_norm_over_a_thousand_merges(keep_norm: bool) -> None:
    rows = slots(row_state([0], [0.0]))
    key_norm, value_norm = rows.key.norm().item(), rows.value.norm().item()
    generator = torch.Generator().manual_seed(0)
    for _ in range(1000):
        new = Rows(at_cosine(rows.key, 0.951, generator), at_cosine(rows.value, 0.9, generator))
        merge_into(rows, new, rate=0.1, keep_norm=keep_norm)
    kept = (1.0, 1.0) if keep_norm else (shrunk(0.951) ** 1000, shrunk(0.9) ** 1000)
    assert rows.key.norm().item() / key_norm == pytest.approx(kept[0], rel=1e-2)
    assert rows.value.norm().item() / value_norm == pytest.approx(kept[1], rel=1e-2)
    assert shrunk(0.95) ** 1000 == pytest.approx(0.011, rel=0.1)


def at_cosine(row: Tensor, cosine: float, generator: torch.Generator) -> Tensor:
    """A random direction [1, 1, C] at this cosine to `row` [1, 1, C]."""
    along = row / row.norm()
    other = torch.randn(row.shape, generator=generator)
    other -= (other * along).sum() * along
    return torch.add(cosine * along, other / other.norm(), alpha=math.sqrt(1 - cosine**2))


def shrunk(cosine: float, rate: float = 0.1) -> float:
    """Norm after one published merge as a share of the norm before."""
    return math.sqrt((1 - rate) ** 2 + rate**2 + 2 * rate * (1 - rate) * cosine)


def test_a_merge_counts_as_use_and_keeps_the_insertion_frame() -> None:
    bank = bank_with_share(10)
    feed(bank, novel(0, 2), step=0)
    feed(bank, Rows(novel(1, 1).key.repeat(1, 3, 1), ones(3)), step=7)
    rows = stored(bank)
    assert rows.use.tolist() == pytest.approx([0.0, math.log(1 + 3)])
    assert rows.inserted.tolist() == [0, 0]
    assert bank.statistics().merged == 3


def test_a_merge_leaves_all_other_rows_as_they_were() -> None:
    bank = bank_with_share(40)
    rows = Rows(torch.randn(1, 20, C, generator=torch.Generator().manual_seed(0)), torch.rand(1, 20, 8))
    feed(bank, rows, step=0)
    before = stored(bank)
    feed(bank, Rows(rows.key[:, 4:5], ones(1)), step=1)
    assert bank.statistics().merged == 1
    others = [i for i in range(20) if i != 4]
    after = vars(stored(bank))
    assert all(torch.equal(after[name][others], rows[others]) for name, rows in vars(before).items())


def test_nearest_is_the_best_cosine_whatever_the_lengths() -> None:
    generator = torch.Generator().manual_seed(1)
    known, new = torch.randn(2, 50, 8, generator=generator), torch.randn(2, 30, 8, generator=generator)
    longer = Rows(known * 10 * torch.rand(2, 50, 1, generator=generator), known)
    empty = torch.rand(2, 50, generator=generator) < 0.5
    dense = torch.nn.functional.cosine_similarity(new[:, :, None], known[:, None], dim=3)
    for rows, among in ((longer, dense), (longer._replace(empty=empty), dense.masked_fill(empty[:, None], -2))):
        index, cosine = nearest(rows, new)
        assert torch.equal(index, among.argmax(dim=2))
        assert torch.allclose(cosine, among.max(dim=2).values, atol=1e-5)


def test_nearest_never_holds_all_correlations_at_once() -> None:
    known, new = torch.randn(2, 5_000, 4), torch.randn(2, 2_000, 4)
    with Operations() as operations:
        index, _ = nearest(Rows(known, known), new)
    assert index.shape == (2, 2_000)
    assert operations.largest <= 1 << 23


# --- objects that join ---------------------------------------------------------------------------------------------


def test_an_object_that_joins_leaves_the_others_rows_as_they_are() -> None:
    bank = bank_with_share(30, channels=2)
    feed(bank, novel(0, 15), step=0)
    bank.credit([torch.arange(15.0)[None]])
    before = stored(bank)
    bank.begin_frame(channels=3, positions=1, step=1)
    bank.absorb([2], novel(30, 5), step=1, annotated=[2])
    assert equal(stored(bank), before)
    assert bank.channels == (1, 2)
    assert bank.statistics().evicted == 0


def test_an_object_that_joins_takes_from_the_others_only_what_is_above_the_new_share() -> None:
    bank = bank_with_share(30, channels=2)
    feed(bank, novel(0, 25), step=0)
    use = torch.arange(25.0).roll(7)
    bank.credit([use[None]])
    bank.begin_frame(channels=3, positions=1, step=4)
    rows = stored(bank)
    assert len(rows.use) == 60 // 3
    assert bank.statistics().evicted == 5
    assert rows.use.tolist() == [u for u in use.tolist() if u >= 5]
    assert set(rows.inserted.tolist()) == {0}


# --- what enters, and settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("part", [0, 1])
def test_features_that_are_not_finite_are_refused_and_leave_the_bank_as_it_was(bad: float, part: int) -> None:
    bank = bank_with_share(10)
    feed(bank, novel(0, 3), step=0)
    before = stored(bank)
    rows = novel(5, 3)
    (rows.key, rows.value)[part][0, 1, 2] = bad
    with pytest.raises(NonFinite, match="channel 1"):
        bank.absorb([OBJECT], rows, step=1)
    assert equal(stored(bank), before)


def test_published_shares_of_one_object_and_of_more() -> None:
    published = BankConfig.published()
    assert published.resolve_budget(2, 1620) == 300_000
    assert published.share(2, 1620) == 120_000
    assert published.share(3, 1620) == 100_000
    assert BankConfig(budget=300_000).share(2, 1620) == 150_000


def test_published_bank_merges_prompts_protects_nothing_and_counts_no_merge_as_use() -> None:
    bank = AdaptiveBank(BankConfig.published())
    feed(bank, novel(0, 3), step=0, annotated=True)
    feed(bank, Rows(towards(1, 9, 0.96), ones(1)), step=1, annotated=True)
    found = bank.statistics()
    assert (found.merged, found.appended, found.protected_share) == (1, 0, 0.0)
    assert stored(bank).use.tolist() == [0, 0, 0]
    assert float(stored(bank).key[1].norm()) == pytest.approx(shrunk(0.96), rel=1e-5)


def test_the_append_policy_never_merges() -> None:
    bank = bank_with_share(30, policy="append")
    for step in range(3):
        feed(bank, novel(0, 4), step=step)
        assert bank.statistics().merged == 0
    assert stored(bank).inserted.tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_the_first_last_policy_holds_the_prompted_frames_and_the_latest() -> None:
    bank = bank_with_share(30, policy="first_last")
    for step in range(6):
        feed(bank, novel(3 * step, 3), step=step, annotated=step in (0, 3))
    assert stored(bank).inserted.tolist() == [0] * 3 + [3] * 3 + [5] * 3


def test_the_first_last_policy_keeps_room_for_the_latest_frame() -> None:
    """Prompts fill the share; of the older ones just as many rows go as a frame has positions."""
    bank = AdaptiveBank(BankConfig(budget=24, policy="first_last"))
    for step in range(8):
        bank.begin_frame(channels=2, positions=3, step=step)
        bank.absorb([OBJECT], novel(3 * step, 3), step=step, annotated=[OBJECT] if step < 6 else [])
        found = bank.statistics()
        assert (found.appended, found.dropped) == (3, 0)
        assert found.size <= 12
    # The latest, the first prompt, and of the others the newest.
    assert stored(bank).inserted.tolist() == [0] * 3 + [4] * 3 + [5] * 3 + [7] * 3


@pytest.mark.parametrize("policy", ["adaptive", "append", "first_last"])
def test_the_budget_holds_from_the_frame_on_in_which_objects_join(
    policy: Literal["adaptive", "append", "first_last"],
) -> None:
    """Shares shrink from 30 to 10 rows, also where every row is annotated."""
    bank = AdaptiveBank(BankConfig(budget=60, policy=policy))
    for step in range(10):
        bank.begin_frame(channels=2, positions=3, step=step)
        for channel in (0, OBJECT):
            bank.absorb([channel], novel(3 * step, 3), step=step, annotated=[channel])
    full = bank.statistics().size
    assert full > 40
    bank.begin_frame(channels=6, positions=3, step=10)
    assert all(len(stored(bank, channel).use) <= 10 for channel in (0, OBJECT))
    assert bank.statistics().evicted == full - bank.statistics().size
    for channel in range(6):
        bank.absorb([channel], novel(30, 3), step=10)
        assert bank.statistics().size <= 60
    assert all(10 in stored(bank, channel).inserted for channel in range(6))


def test_replaced_rows_count_as_evicted() -> None:
    bank = bank_with_share(30, policy="first_last")
    sizes = [0]
    for step in range(5):
        feed(bank, novel(3 * step, 3 + step), step=step, annotated=step == 0)
        found = bank.statistics()
        sizes.append(found.size)
        assert found.evicted == (0 if step < 2 else 2 + step)
        assert found.size == sizes[-2] + found.appended - found.evicted


def test_use_of_a_read_is_added_up() -> None:
    bank = bank_with_share(10)
    feed(bank, novel(0, 3), step=0)
    bank.credit([torch.tensor([[1.0, 0.0, 2.0]])])
    bank.credit([torch.tensor([[0.5, 0.0, 1.0]])])
    assert stored(bank).use.tolist() == [1.5, 0.0, 3.0]


# --- state and buffers ---------------------------------------------------------------------------------------------


def run_frames(bank: AdaptiveBank, steps: range) -> None:
    """The same random frames for the same steps."""
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        bank.begin_frame(channels=2, positions=1, step=step)
        keys = torch.eye(C)[:6] + 0.15 * torch.randn(2, 6, C, generator=generator)
        rows = Rows(keys, torch.randn(2, 6, 8, generator=generator))
        bank.absorb((0, OBJECT), rows, step=step, annotated=() if step % 5 else (0, OBJECT))
        bank.credit([torch.rand(part.key.shape[:2], generator=generator) for part in bank.memory()])


@pytest.mark.parametrize("policy", ["adaptive", "append", "first_last"])
def test_a_restored_bank_goes_on_bit_for_bit(policy: str) -> None:
    whole, first, second = (bank_with_share(25, policy=policy) for _ in range(3))
    run_frames(whole, range(20))
    run_frames(first, range(9))
    second.restore(first.state(), CPU)
    run_frames(second, range(9, 20))
    for channel in (0, OBJECT):
        assert equal(stored(second, channel), stored(whole, channel))
    assert second.statistics() == whole.statistics()


def test_a_state_does_not_change_when_the_bank_goes_on() -> None:
    bank = bank_with_share(25)
    run_frames(bank, range(5))
    state = bank.state()
    kept = copy.deepcopy(state)
    other = bank_with_share(25)
    other.restore(state, CPU)
    run_frames(bank, range(5, 9))
    run_frames(other, range(5, 12))
    assert equal(state.channels[OBJECT], kept.channels[OBJECT])
    assert state.prompts == kept.prompts


def test_slots_grow_a_logarithmic_number_of_times_and_to_no_more_than_twice_the_rows() -> None:
    bank, places = bank_with_share(10_000, policy="append"), set()
    for step in range(1000):
        feed(bank, novel(step, 7), step=step)
        places.add(bank.stored(OBJECT).key.data_ptr())
        assert bank.stored(OBJECT).key.untyped_storage().nbytes() <= 4 * C * (2 * 7 * (step + 1) + 1)
    rows = stored(bank)
    assert len(places) <= 2 + math.log2(1000)
    assert torch.equal(rows.key[-7:], novel(999, 7).key[0])
    assert rows.inserted.tolist() == [step for step in range(1000) for _ in range(7)]


def test_slots_grow_to_no_more_than_the_share() -> None:
    bank = bank_with_share(20)
    for step in range(5):
        feed(bank, novel(7 * step, 7), step=step)
    assert bank.stored(OBJECT).key.untyped_storage().nbytes() == 4 * C * 21


def test_eviction_and_reading_move_no_buffer() -> None:
    bank = bank_with_share(20)
    feed(bank, novel(0, 20), step=0)
    place = bank.stored(OBJECT).key.data_ptr()
    for step in range(1, 10):
        feed(bank, novel(7 * step, 5), step=step)
        (memory,) = bank.memory()
        assert memory.key.data_ptr() == bank.stored(OBJECT).key.data_ptr() == place
