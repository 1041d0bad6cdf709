"""The adaptive bank one row at a time, as one would tell it: what `model.bank` is held against.

A channel's rows are a list, in order of insertion.
"""

import math
from collections import defaultdict
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from model.bank import BankConfig

COUNTED = ("merged", "appended", "evicted", "dropped")


@dataclass
class Row:
    """A feature and its history."""

    key: Tensor
    value: Tensor
    step: int
    position: int
    prompt: int = 0
    use: Tensor = field(default_factory=lambda: torch.tensor(0.0))

    def worth(self, step: int) -> tuple[float, int, int]:
        """What is evicted first is least: use / age, ties by age."""
        return float(self.use / max(1, step - self.step)), self.step, self.position


class ReferenceBank:
    """As `AdaptiveBank`, a channel a call."""

    def __init__(self, config: BankConfig) -> None:
        self.config = config
        self.rows: dict[int, list[Row]] = {}
        self.prompts: dict[int, int] = defaultdict(int)
        self.counts = dict.fromkeys(COUNTED, 0)

    def begin_frame(self, *, channels: int, positions: int, step: int) -> None:
        self.counts = dict.fromkeys(COUNTED, 0)
        self.share = self.config.share(channels, positions)
        self.protected = self.config.protected_rows(self.share, positions)
        for rows in self.rows.values():
            self._limit_protection(rows)
            self._evict(rows, len(rows) - self.share, step)

    def read(self, channel: int, query_PC: Tensor) -> Tensor:
        """[P, V], in float64; credits the rows."""
        rows = self.rows[channel]
        key, value = (torch.stack([getattr(row, name) for row in rows]).double() for name in ("key", "value"))
        weight = torch.softmax(query_PC.double() @ key.T / math.sqrt(key.shape[1]), dim=1)
        for row, positions in zip(rows, (weight > self.config.valid_weight).sum(dim=0), strict=True):
            row.use = row.use + torch.log1p(positions.float())
        return weight @ value

    def absorb(self, channel: int, key_NC: Tensor, value_NV: Tensor, *, step: int, annotated: bool) -> None:
        rows = self.rows.setdefault(channel, [])
        if self.config.policy == "first_last":
            self.counts["evicted"] += sum(not row.prompt for row in rows)
            rows[:] = [row for row in rows if row.prompt]
        cosines = [self._nearest(rows, key) for key in key_NC]
        merges = self.config.policy == "adaptive" and not (annotated and self.config.append_prompts)
        chosen, novel = defaultdict(list), []
        for number, (target, cosine) in enumerate(cosines):
            if merges and cosine > self.config.merge_threshold:
                chosen[target].append(number)
            else:
                novel.append(number)
        for target, numbers in chosen.items():
            self._merge(rows[target], key_NC[numbers], value_NV[numbers])
        prompt = self._prompt_number(channel) if annotated else 0
        self._evict(rows, len(rows) + len(novel) - self.share, step)
        kept = sorted(sorted(novel, key=lambda number: cosines[number][1])[: self.share - len(rows)])
        rows += [Row(key_NC[n], value_NV[n], step, n, prompt) for n in kept]
        self.counts["appended"] += len(kept)
        self.counts["dropped"] += len(novel) - len(kept)
        self._limit_protection(rows)

    def _nearest(self, rows: list[Row], key: Tensor) -> tuple[int, float]:
        cosines = [float(F.cosine_similarity(row.key, key, dim=0)) for row in rows]
        best = max(cosines, default=-1.0)
        return (cosines.index(best) if rows else 0), best

    def _prompt_number(self, channel: int) -> int:
        if not self.config.protection and self.config.policy != "first_last":
            return 0
        self.prompts[channel] += 1
        return self.prompts[channel]

    def _merge(self, row: Row, keys: Tensor, values: Tensor) -> None:
        row.key, row.value = (self._moved(*pair) for pair in ((row.key, keys), (row.value, values)))
        if self.config.merges_count_as_use:
            row.use = row.use + torch.log1p(torch.tensor(float(len(keys))))
        self.counts["merged"] += len(keys)

    def _moved(self, old: Tensor, new: Tensor) -> Tensor:
        mean = F.normalize(new, dim=1).mean(dim=0)
        moved = (1 - self.config.update_rate) * F.normalize(old, dim=0) + self.config.update_rate * mean
        return old.norm() * (F.normalize(moved, dim=0) if self.config.keep_norm else moved)

    def _evict(self, rows: list[Row], count: int, step: int) -> None:
        free = sorted((row for row in rows if not row.prompt), key=lambda row: row.worth(step))
        leaving = {id(row) for row in free[: max(0, count)]}
        rows[:] = [row for row in rows if id(row) not in leaving]
        self.counts["evicted"] += len(leaving)

    def _limit_protection(self, rows: list[Row]) -> None:
        held = [row for row in rows if row.prompt]
        by_turn = sorted(held, key=lambda row: row.prompt == 1)
        for row in by_turn[: max(0, len(held) - self.protected)]:
            row.prompt = 0
