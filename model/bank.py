"""The adaptive feature bank (AFB; Liang et al., NeurIPS 2020, section 3.3): merge what is known, append what is
new, evict what is least used, inside a fixed budget.

The rows of all channels (the background and the objects) lie in one structure of fixed slots, and what happens to
them are pure functions on it (`model.slots`); here is when which of them happens. Where we differ from the published
code, docs/differences.md says why; `BankConfig.published()` gives its behaviour back, but for its eviction.

Legend: K channels, S slots of a channel, M of them that may be filled, N new rows of a channel.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from model.effect import NO_EFFECT
from model.errors import BudgetTooSmall, NonFinite
from model.ops import SegmentMeanBackend
from model.result import BankStatistics
from model.slots import (
    Rows,
    Slots,
    at,
    evict,
    leave,
    limit_protection,
    merge,
    nearest,
    num_protected,
    num_rows,
    place,
    put,
)
from model.state import BankState, ChannelState

_MINIMAL_AUTO_BUDGET = 40_000
_EXTENTS = 8
"""Where channels go together: so many numbers of slots that are looked at, as the bank fills."""
_MERGED, _APPENDED, _EVICTED, _DROPPED, _REFUSED, _FILLED, _HELD = range(7)
"""What is counted of each channel."""


@dataclass(frozen=True, kw_only=True)
class BankConfig:
    """How the bank grows and forgets; fields without effect on a mask are marked (`model.effect`)."""

    policy: Literal["adaptive", "append", "first_last"] = "adaptive"
    """adaptive: the AFB. append: never merge. first_last: prompted frames and the latest one (no bank)."""
    budget: int | None = None
    """Rows over all channels; None: max(40,000, 2 x channels x positions of a frame)."""
    merge_threshold: float = 0.95
    """A new feature merges when its best cosine is above this."""
    update_rate: float = 0.1
    """Weight of the new features in a merge; the paper uses 0.05 for long videos."""
    keep_norm: bool = True
    """Restore a row's norm after a merge."""
    merges_count_as_use: bool = True
    """A merge adds ln(1 + features merged) to the row's use."""
    append_prompts: bool = True
    """Features of annotated masks are appended, never merged into older rows."""
    protection: float = 0.5
    """Share of a channel's rows that annotated features may keep safe from eviction; 0 = none."""
    store_empty: bool = False
    """Store a channel's features also on frames where it has no pixel."""
    published_shares: bool = False
    """With one object, each share is 0.8 of its half of the budget."""
    valid_weight: float = 1e-3
    """A position counts as use of a row when its attention weight is above this."""
    segment_mean: SegmentMeanBackend = field(default="torch", metadata=NO_EFFECT)
    """What computes the means of merges."""

    @classmethod
    def published(cls) -> "BankConfig":
        """The behaviour of the authors' code (their eviction excepted)."""
        return cls(
            budget=300_000,
            keep_norm=False,
            merges_count_as_use=False,
            append_prompts=False,
            protection=0.0,
            store_empty=True,
            published_shares=True,
        )

    def resolve_budget(self, channels: int, positions: int) -> int:
        """Rows over all channels.

        Raises:
            BudgetTooSmall: two frames of every channel would not fit.
        """
        needed = 2 * channels * positions
        if self.budget is None:
            return max(_MINIMAL_AUTO_BUDGET, needed)
        if self.budget < needed:
            raise BudgetTooSmall(
                f"a bank budget of {self.budget} rows is too small for {channels} channels (objects and background) "
                f"of {positions} positions a frame: give at least {needed}, or a smaller picture (max_side)"
            )
        return self.budget

    def share(self, channels: int, positions: int) -> int:
        """Rows that each of the channels may hold."""
        budget = self.resolve_budget(channels, positions)
        if self.published_shares and channels == 2:
            return int(0.8 * (budget // channels))
        return budget // channels

    def protected_rows(self, share: int, positions: int) -> int:
        """Rows of a share that annotated features may keep; `first_last` leaves room for the latest frame only."""
        if self.policy == "first_last":
            return share - positions
        return math.floor(self.protection * share)


class AdaptiveBank:
    """The stored rows of all channels of one video: one structure, a channel a line, in ascending order.

    On a GPU all channels go together, over as many slots as any of them may have filled, and the host learns what
    came of it when it asks (`counts`, `settle`). On the CPU each goes alone, over the slots that it has filled.
    """

    def __init__(self, config: BankConfig, *, together: bool | None = None) -> None:
        """`together`: whether all channels go together; None: as the device of the rows says."""
        self.config = config
        self._together = together
        self._slots: Slots | None = None
        self._channels: tuple[int, ...] = ()
        self._filled: list[int] = []
        """Slots of each channel that may be filled; as many as are, once `settle` has said so."""
        self._noted: list[int] = []
        """The same when the frame began."""
        self._prompts: dict[int, int] = {}
        self._counts = torch.zeros(0, _FILLED, dtype=torch.int64)
        self._share = 0
        self._protected = 0

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels that hold rows, ascending; 0 is the background."""
        return self._channels

    def stored(self, channel: int) -> ChannelState:
        """One channel's rows, without a copy, as they lie in its slots."""
        line = self._channels.index(channel)
        return ChannelState(**{name: x[line, : self._filled[line]] for name, x in self._held._asdict().items()})

    @property
    def _held(self) -> Slots:
        if self._slots is None:
            raise RuntimeError("this bank holds nothing yet")
        return self._slots

    def memory(self) -> list[Rows]:
        """What a read of all channels needs, without a copy: the channels that go together, in their order."""
        return [self._held.part(lane, self._end(lane)).rows(masked=self._goes_together()) for lane in self.lanes()]

    def lanes(self) -> list[slice]:
        """Which channels each part of `memory` is of, by their places among `channels`."""
        return self._lanes(self._channels)

    def credit(self, use: Sequence[Tensor]) -> None:
        """Add one read's use [k, M] of each of the parts of `memory`."""
        for lane, use_KM in zip(self.lanes(), use, strict=True):
            self._held.use[lane, : use_KM.shape[1]] += use_KM

    def _goes_together(self) -> bool:
        return self._held.key.device.type != "cpu" if self._together is None else self._together

    def _lanes(self, channels: Sequence[int], *, alone: bool = False) -> list[slice]:
        """The lines of these channels, as far as they go together."""
        if not alone and self._goes_together() and tuple(channels) == self._channels:
            return [slice(0, len(channels))]
        lines = map(self._channels.index, channels)
        return [slice(line, line + 1) for line in lines]

    def _end(self, lane: slice) -> int:
        """Behind the last slot that one of these channels may have filled."""
        end = max(self._filled[lane])
        return self._rounded(end) if self._goes_together() and lane.stop - lane.start == len(self._channels) else end

    def _rounded(self, end: int) -> int:
        """Up to one of a few numbers, so that most frames look at as many slots as the one before."""
        extent = -(-self._share // _EXTENTS)
        return min(-(-end // extent) * extent, self._share) if extent else end

    def extent(self) -> tuple[tuple[int, ...], int]:
        """What the work of a frame depends on, where channels go together: these, and how many slots are looked at."""
        return self._channels, self._end(slice(0, len(self._channels))) if self._channels else 0

    def rewind(self) -> None:
        """Forget what the host has noted since `begin_frame`: what was only recorded was not done."""
        self._filled = list(self._noted)

    def begin_frame(self, *, channels: int, positions: int, step: int) -> None:
        """Start a frame's counts; when objects have joined, the others make room for their shares.

        Raises:
            BudgetTooSmall: the configured budget does not suffice for so many channels.
        """
        before = self._share, self._protected
        self._share = self.config.share(channels, positions)
        self._protected = self.config.protected_rows(self._share, positions)
        self._counts.zero_()
        if self._channels and before != (self._share, self._protected):
            limit_protection(self._held.part(slice(None), max(self._filled)), self._protected)
            self._fit(slice(None), step)
        self._noted = list(self._filled)

    def _fit(self, lane: slice, step: int | Tensor) -> None:
        """Evict what is above the share; else no row moves, so that a bank that is restored goes on to the bit."""
        if (end := max(self._filled[lane])) > self._share:
            rows = self._held.part(lane, end)
            self._counts[lane, _EVICTED] += evict(rows, num_rows(rows) - self._share, step=step)
            self._filled[lane] = [min(filled, self._share) for filled in self._filled[lane]]

    def absorb(
        self,
        channels: Sequence[int],
        new: Rows,
        *,
        step: int | Tensor,
        annotated: Collection[int] = (),
        present_K: Tensor | None = None,
    ) -> None:
        """Take in one frame's features: merge the known, append the novel, evict what no longer fits.

        `step` may be [] on the device, so that what is recorded once holds for other frames (`model.capture`).
        `annotated` channels' masks were given, not predicted; those not `present` take nothing. The budget always
        holds; of new rows that do not fit, those least similar to the bank are kept and the rest counted as dropped.
        What is not finite changes nothing of its channel, and `settle` says so.
        """
        self._admit(channels, new)
        self._reserve(new.key.shape[1])
        first = 0
        for lane in self._lanes(channels, alone=bool(annotated)):
            part = slice(first, first := first + lane.stop - lane.start)
            given = channels[part.start] in annotated
            absent_K = None if present_K is None else ~present_K[part]
            self._absorb(lane, Rows(new.key[part], new.value[part]), absent_K, step=step, annotated=given)
        if not self._goes_together():
            self.settle(self.counts().tolist())

    def _admit(self, channels: Sequence[int], like: Rows) -> None:
        """Give channels that are new a line."""
        known = self._channels
        if set(channels) <= set(known):
            return
        self._channels = tuple(sorted({*known, *channels}))
        lines = [self._channels.index(channel) for channel in known]
        self._filled = [dict(zip(known, self._filled, strict=True)).get(c, 0) for c in self._channels]
        old, self._slots = self._slots, Slots.empty(like, len(self._channels), 1 + max(self._filled))
        counts, self._counts = self._counts, torch.zeros(len(self._channels), _FILLED, dtype=torch.int64)
        self._counts = self._counts.to(like.key.device)
        if old is not None:
            self._slots.take_over(old.part(slice(None), max(self._filled)), lines)
            self._counts[lines] = counts

    def _reserve(self, entering: int) -> None:
        """Room for so many more rows of every channel, as far as its share goes: each time for twice as many.

        Where channels go together for all at once, so that nothing moves in memory before others join.
        """
        capacity = self._held.order.shape[1] - 1
        needed = self._share if self._goes_together() else min(self._share, max(self._filled) + entering)
        if needed <= capacity:
            return
        old, slots = self._held.part(slice(None), capacity), 1 + max(needed, min(self._share, 2 * capacity))
        self._slots = Slots.empty(old.rows(masked=False), len(self._channels), slots)
        self._slots.take_over(old)

    def _absorb(self, lane: slice, new: Rows, absent_K: Tensor | None, *, step: int | Tensor, annotated: bool) -> None:
        finite_K = new.key.isfinite().flatten(1).all(dim=1) & new.value.isfinite().flatten(1).all(dim=1)
        taken_K = finite_K if absent_K is None else finite_K & ~absent_K
        counts = self._counts[lane]
        counts[:, _REFUSED] += ~finite_K if absent_K is None else ~(finite_K | absent_K)
        if self.config.policy == "first_last":
            self._forget_latest(lane, taken_K)
        known_KN, similarity_KN = self._merge_known(lane, new, taken_K, annotated)
        novel_KN = taken_K[:, None] & ~known_KN
        counts[:, _MERGED] += known_KN.sum(dim=1)
        prompt = self._prompt_number(self._channels[lane.start]) if annotated else 0
        self._append(lane, new, novel_KN, similarity_KN, step=step, prompt=prompt)

    def _forget_latest(self, lane: slice, taken_K: Tensor) -> None:
        rows = self._held.part(lane, self._end(lane))
        leaving = (rows.order >= 0) & (rows.prompt == 0) & taken_K[:, None]
        self._counts[lane, _EVICTED] += leaving.sum(dim=1)
        leave(rows, leaving)

    def _prompt_number(self, channel: int) -> int:
        if not self.config.protection and self.config.policy != "first_last":
            return 0
        self._prompts[channel] = self._prompts.get(channel, 0) + 1
        return self._prompts[channel]

    def _merge_known(self, lane: slice, new: Rows, taken_K: Tensor, annotated: bool) -> tuple[Tensor, Tensor]:
        """Merge where the policy says so: which are known [K, N], and all their similarity to the bank."""
        config, end = self.config, self._end(lane)
        if not end:
            return new.key.new_zeros(new.key.shape[:2], dtype=torch.bool), new.key.new_zeros(new.key.shape[:2])
        masked = self._goes_together() or config.policy == "first_last"
        slot_KN, cosine_KN = nearest(self._held.part(lane, end).rows(masked=masked), new.key)
        if config.policy != "adaptive" or (annotated and config.append_prompts):
            return torch.zeros_like(slot_KN, dtype=torch.bool), cosine_KN
        known_KN = (cosine_KN > config.merge_threshold) & taken_K[:, None]
        self._merge(self._held.part(lane), new, slot_KN.masked_fill(~known_KN, self._nowhere))
        return known_KN, cosine_KN

    def _merge(self, rows: Slots, new: Rows, target_KN: Tensor) -> None:
        old = Rows(at(rows.key, target_KN), at(rows.value, target_KN))
        config = self.config
        moved, count_KN = merge(
            old, new, target_KN, rate=config.update_rate, keep_norm=config.keep_norm, backend=config.segment_mean
        )
        put(rows.key, target_KN, moved.key)
        put(rows.value, target_KN, moved.value)
        if config.merges_count_as_use:
            put(rows.use, target_KN, at(rows.use, target_KN) + torch.log1p(count_KN))

    def _append(
        self, lane: slice, new: Rows, novel_KN: Tensor, similarity_KN: Tensor, *, step: int | Tensor, prompt: int
    ) -> None:
        self._fit(lane, step)
        filled, entering = self._end(lane), novel_KN.shape[1]
        end = min(self._share, filled + entering)
        rows, counts = self._held.part(lane, end), self._counts[lane]
        placed = place(rows, novel_KN, similarity_KN, step=step, filled=filled, protected=self._protected)
        slot_KN = placed.slot_KN.masked_fill(~placed.kept_KN, self._nowhere)
        self._held.part(lane).write(slot_KN, new, step=step, prompt=prompt)
        counts[:, _APPENDED] += placed.kept_KN.sum(dim=1)
        counts[:, _EVICTED] += placed.evicts_KN.sum(dim=1)
        counts[:, _DROPPED] += novel_KN.sum(dim=1) - placed.kept_KN.sum(dim=1)
        self._filled[lane] = [min(end, filled + entering) for filled in self._filled[lane]]
        if prompt:
            limit_protection(rows, self._protected)

    @property
    def _nowhere(self) -> int:
        """The slot that holds nothing."""
        return self._held.order.shape[1] - 1

    def counts(self) -> Tensor:
        """[K, 7] of each channel since `begin_frame`, and its rows and protected rows now; for `settle`."""
        if not self._channels:
            return torch.zeros(0, _HELD + 1, dtype=torch.int64)
        rows = self._held.part(slice(None), self._end(slice(0, len(self._channels))))
        return torch.cat([self._counts, num_rows(rows)[:, None], num_protected(rows)[:, None]], dim=1)

    def settle(self, counts: Sequence[Sequence[int]]) -> BankStatistics:
        """What `counts` says of this frame; from here on the host knows how many slots are filled.

        Raises:
            NonFinite: NaN or infinity in the features of a channel.
        """
        if not counts:
            return BankStatistics()
        self._filled = [line[_FILLED] for line in counts]
        for channel, line in zip(self._channels, counts, strict=True):
            if line[_REFUSED]:
                raise NonFinite(f"features of channel {channel} are not finite")
        merged, appended, evicted, dropped, _, size, held = (sum(column) for column in zip(*counts, strict=True))
        return BankStatistics(
            size=size,
            merged=merged,
            appended=appended,
            evicted=evicted,
            dropped=dropped,
            protected_share=held / size if size else 0.0,
        )

    def statistics(self) -> BankStatistics:
        """Sizes now, and what happened since `begin_frame`, over all channels; the host waits for them."""
        return self.settle(self.counts().tolist())

    def state(self) -> BankState:
        """All that `restore` needs."""
        channels = {channel: self._copied(line) for line, channel in enumerate(self._channels)}
        return BankState(channels=channels, prompts=dict(self._prompts))

    def _copied(self, line: int) -> ChannelState:
        rows = self._held.part(slice(line, line + 1), self._filled[line])._asdict()
        return ChannelState(**{name: x[0].cpu().clone() for name, x in rows.items()})

    def restore(self, state: BankState, device: torch.device) -> None:
        """Continue where `state()` was taken, by a bank of the same configuration."""
        self._channels = tuple(sorted(state.channels))
        self._prompts = dict(state.prompts)
        self._filled = [len(state.channels[channel].use) for channel in self._channels]
        self._counts = torch.zeros(len(self._channels), _FILLED, dtype=torch.int64, device=device)
        self._slots = None
        for line, channel in enumerate(self._channels):
            rows = Slots(**{name: x[None].to(device) for name, x in vars(state.channels[channel]).items()})
            if self._slots is None:
                self._slots = Slots.empty(rows.rows(masked=False), len(self._channels), 1 + max(self._filled))
            self._slots.take_over(rows, slice(line, line + 1))
