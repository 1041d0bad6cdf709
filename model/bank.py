"""The adaptive feature bank (AFB; Liang et al., NeurIPS 2020, section 3.3): merge what is known, append what is
new, evict what is least used, inside a fixed budget.

One table of rows per channel (an object, or the background), in order of insertion. `FeatureRows` knows two
primitives, select and append; the policies below are functions on it. Where we differ from the published code,
docs/differences.md says why; `BankConfig.published()` gives its behaviour back, but for its eviction.

Legend: M stored rows of a channel, N new rows, C key width, V value width, P positions of a frame.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from model.effect import NO_EFFECT
from model.errors import BudgetTooSmall, NonFinite
from model.ops import SegmentMeanBackend, segment_mean
from model.result import BankStatistics
from model.state import BankState, ChannelState

_MINIMAL_AUTO_BUDGET = 40_000
_CORRELATION_ELEMENTS = 1 << 23


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


class Rows(NamedTuple):
    """Features as rows: what a frame brings, and what a read needs."""

    key: Tensor
    """[N, C]"""
    value: Tensor
    """[N, V]"""


class FeatureRows:
    """One channel's stored rows: parallel arrays in preallocated buffers, in order of insertion."""

    def __init__(self, like: Rows) -> None:
        device = like.key.device
        self._buffers: dict[str, Tensor] = {
            "key": like.key.new_empty(0, like.key.shape[1]),
            "value": like.value.new_empty(0, like.value.shape[1]),
            "inserted": torch.empty(0, dtype=torch.int64, device=device),
            "use": torch.empty(0, dtype=torch.float32, device=device),
            "prompt": torch.empty(0, dtype=torch.int64, device=device),
        }
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def key(self) -> Tensor:
        """[M, C]"""
        return self._buffers["key"][: self._size]

    @property
    def value(self) -> Tensor:
        """[M, V]"""
        return self._buffers["value"][: self._size]

    @property
    def inserted(self) -> Tensor:
        """[M] step at which the row was appended."""
        return self._buffers["inserted"][: self._size]

    @property
    def use(self) -> Tensor:
        """[M] sum over reads of ln(1 + positions that used the row), and over merges of ln(1 + features merged)."""
        return self._buffers["use"][: self._size]

    @property
    def prompt(self) -> Tensor:
        """[M] 0, or the number of the channel's prompt that protects the row (1 = its first)."""
        return self._buffers["prompt"][: self._size]

    def rows(self) -> Rows:
        """What a read needs, without a copy."""
        return Rows(self.key, self.value)

    def select(self, keep: Tensor) -> None:
        """Keep the rows where `keep` [M] is true, in their order."""
        index = keep.nonzero().squeeze(1)
        for buffer in self._buffers.values():
            buffer[: len(index)] = buffer[index]
        self._size = len(index)

    def append(self, new: Rows, *, step: int, prompt: int = 0) -> None:
        """Append rows of one frame, unused so far."""
        end = self._size + len(new.key)
        self._reserve(end)
        entering: dict[str, Tensor | float] = {
            "key": new.key,
            "value": new.value,
            "inserted": step,
            "use": 0.0,
            "prompt": prompt,
        }
        for name, value in entering.items():
            self._buffers[name][self._size : end] = value
        self._size = end

    def _reserve(self, size: int) -> None:
        capacity = len(self._buffers["use"])
        if size <= capacity:
            return
        grown = max(size, 2 * capacity)
        for name, buffer in self._buffers.items():
            self._buffers[name] = buffer.new_empty(grown, *buffer.shape[1:])
            self._buffers[name][: self._size] = buffer[: self._size]

    def state(self) -> ChannelState:
        """A copy of the rows, on the CPU."""
        return ChannelState(**{name: buffer[: self._size].cpu().clone() for name, buffer in self._buffers.items()})

    @classmethod
    def from_state(cls, state: ChannelState, device: torch.device) -> "FeatureRows":
        """The rows that `state` described."""
        stored = cls(Rows(state.key.to(device), state.value.to(device)))
        stored._buffers = {name: rows.to(device, copy=True) for name, rows in vars(state).items()}
        stored._size = len(state.use)
        return stored


def nearest(stored_MC: Tensor, new_NC: Tensor) -> tuple[Tensor, Tensor]:
    """Each new key's nearest stored key: (index [N], cosine [N]), in bounded memory."""
    known = F.normalize(stored_MC, dim=1).T
    block = max(1, _CORRELATION_ELEMENTS // max(1, len(stored_MC)))
    best = [(F.normalize(part, dim=1) @ known).max(dim=1) for part in new_NC.split(block)]
    return torch.cat([b.indices for b in best]), torch.cat([b.values for b in best])


def merge(stored: FeatureRows, new: Rows, target_N: Tensor, config: BankConfig) -> None:
    """Move each hit row towards the mean direction of the features that chose it."""
    if not len(target_N):
        return
    for old, entering in ((stored.key, new.key), (stored.value, new.value)):
        targets_U, mean_UC = segment_mean(F.normalize(entering, dim=1), target_N, config.segment_mean)
        old[targets_U] = _moved(old[targets_U], mean_UC, config)
    if config.merges_count_as_use:
        targets_U, counts_U = target_N.unique(return_counts=True)
        stored.use[targets_U] += torch.log1p(counts_U.float())


def _moved(old_UC: Tensor, mean_UC: Tensor, config: BankConfig) -> Tensor:
    norm = old_UC.norm(dim=1, keepdim=True)
    direction = (1 - config.update_rate) * F.normalize(old_UC, dim=1) + config.update_rate * mean_UC
    return norm * (F.normalize(direction, dim=1) if config.keep_norm else direction)


def evict(stored: FeatureRows, count: int, *, step: int) -> int:
    """Remove exactly `count` rows (or all that are not protected), lowest use / age first, ties oldest first.

    Linear in the rows: a selection, not a sort. Returns how many went.
    """
    free = (stored.prompt == 0).nonzero().squeeze(1)
    count = min(count, len(free))
    if count <= 0:
        return 0
    age = (step - stored.inserted[free]).clamp(min=1)
    score = stored.use[free] / age
    threshold = score.kthvalue(count).values
    below = score < threshold
    # Rows stand in order of insertion, so the first of the tied ones are the oldest.
    tied = (score == threshold).nonzero().squeeze(1)[: count - int(below.sum())]
    keep = torch.ones(len(stored), dtype=torch.bool, device=score.device)
    keep[free[below]] = False
    keep[free[tied]] = False
    stored.select(keep)
    return count


def limit_protection(stored: FeatureRows, limit: int) -> None:
    """At most `limit` rows stay protected: the oldest lose it first, the channel's first prompt last."""
    held = stored.prompt.nonzero().squeeze(1)
    if len(held) <= limit:
        return
    first = stored.prompt[held] == 1
    by_age = torch.cat([held[~first], held[first]])
    stored.prompt[by_age[: len(held) - limit]] = 0


@dataclass
class _Counts:
    merged: int = 0
    appended: int = 0
    evicted: int = 0
    dropped: int = 0


class AdaptiveBank:
    """The stored rows of all channels of one video."""

    def __init__(self, config: BankConfig) -> None:
        self.config = config
        self._channels: dict[int, FeatureRows] = {}
        self._prompts: dict[int, int] = {}
        self._share = 0
        self._protected = 0
        self._counts = _Counts()

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels that hold rows, ascending; 0 is the background."""
        return tuple(sorted(c for c, stored in self._channels.items() if len(stored)))

    def stored(self, channel: int) -> FeatureRows:
        """One channel's rows."""
        return self._channels[channel]

    def memory(self, channels: Sequence[int]) -> list[Rows]:
        """What a read of these channels needs, without a copy."""
        return [self._channels[channel].rows() for channel in channels]

    def begin_frame(self, *, channels: int, positions: int, step: int) -> None:
        """Start a frame's counts; when objects have joined, the others make room for their shares.

        Raises:
            BudgetTooSmall: the configured budget does not suffice for so many channels.
        """
        self._counts = _Counts()
        self._share = self.config.share(channels, positions)
        self._protected = self.config.protected_rows(self._share, positions)
        for stored in self._channels.values():
            self._fit(stored, 0, step)

    def credit(self, channel: int, use_M: Tensor) -> None:
        """Add one read's use [M] to a channel's rows."""
        self._channels[channel].use.add_(use_M)

    def absorb(self, channel: int, new: Rows, *, step: int, annotated: bool = False) -> None:
        """Take in one frame's features of a channel: merge the known, append the novel, evict what no longer fits.

        `annotated`: the mask was given, not predicted. The budget always holds; of new rows that do not fit,
        those least similar to the bank are kept and the rest counted as dropped.

        Raises:
            NonFinite: NaN or infinity in the features.
        """
        if not bool(torch.isfinite(new.key).all() and torch.isfinite(new.value).all()):
            raise NonFinite(f"features of channel {channel} are not finite")
        stored = self._channels.setdefault(channel, FeatureRows(new))
        if self.config.policy == "first_last":
            self._forget_latest(stored)
        novel, similarity = self._merge_known(stored, new, annotated)
        prompt = self._prompt_number(channel) if annotated else 0
        self._append(stored, novel, similarity, step=step, prompt=prompt)

    def _forget_latest(self, stored: FeatureRows) -> None:
        before = len(stored)
        stored.select(stored.prompt > 0)
        self._counts.evicted += before - len(stored)

    def _prompt_number(self, channel: int) -> int:
        if not self.config.protection and self.config.policy != "first_last":
            return 0
        self._prompts[channel] = self._prompts.get(channel, 0) + 1
        return self._prompts[channel]

    def _merge_known(self, stored: FeatureRows, new: Rows, annotated: bool) -> tuple[Rows, Tensor]:
        """Merge where the policy says so; returns the novel rows and their similarity to the bank."""
        if not len(stored):
            return new, new.key.new_full((len(new.key),), -1.0)
        index_N, cosine_N = nearest(stored.key, new.key)
        if self.config.policy != "adaptive" or (annotated and self.config.append_prompts):
            return new, cosine_N
        known = cosine_N > self.config.merge_threshold
        merge(stored, Rows(new.key[known], new.value[known]), index_N[known], self.config)
        self._counts.merged += int(known.sum())
        return Rows(new.key[~known], new.value[~known]), cosine_N[~known]

    def _append(self, stored: FeatureRows, novel: Rows, similarity_N: Tensor, *, step: int, prompt: int) -> None:
        room = self._fit(stored, len(novel.key), step)
        if room < len(novel.key):
            kept = similarity_N.argsort(stable=True)[:room].sort().values
            self._counts.dropped += len(novel.key) - room
            novel = Rows(novel.key[kept], novel.value[kept])
        stored.append(novel, step=step, prompt=prompt)
        self._counts.appended += len(novel.key)
        limit_protection(stored, self._protected)

    def _fit(self, stored: FeatureRows, entering: int, step: int) -> int:
        """Evict until `entering` more rows fit into the share; returns for how many there is room."""
        limit_protection(stored, self._protected)
        self._counts.evicted += evict(stored, len(stored) + entering - self._share, step=step)
        return min(entering, self._share - len(stored))

    def statistics(self) -> BankStatistics:
        """Sizes now, and what happened since `begin_frame`, over all channels."""
        size = sum(len(stored) for stored in self._channels.values())
        held = sum(int((stored.prompt > 0).sum()) for stored in self._channels.values())
        return BankStatistics(size=size, protected_share=held / size if size else 0.0, **vars(self._counts))

    def state(self) -> BankState:
        """All that `restore` needs."""
        channels = {channel: stored.state() for channel, stored in self._channels.items()}
        return BankState(channels=channels, prompts=dict(self._prompts))

    def restore(self, state: BankState, device: torch.device) -> None:
        """Continue where `state()` was taken, by a bank of the same configuration."""
        self._channels = {channel: FeatureRows.from_state(rows, device) for channel, rows in state.channels.items()}
        self._prompts = dict(state.prompts)
