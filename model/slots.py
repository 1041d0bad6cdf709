"""The bank's rows as fixed slots: one structure for all channels, and the pure functions on it.

Shapes depend on no value and nothing is read back by the host, so that a GPU is never waited for. A channel's rows
fill its slots from the first on; the last slot holds nothing: what is to be written nowhere is written there.

Legend: K channels, S slots of a channel, M of them looked at, N new rows of a channel, C key width, V value width.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from model.ops import SegmentMeanBackend, segment_mean

_POSITION_BITS = 20
MOST_POSITIONS = 1 << _POSITION_BITS
"""Of one frame: what `order` counts for a step."""
_EMPTY = -1
_CORRELATION_ELEMENTS = 1 << 23


class Rows(NamedTuple):
    """Features as rows: what a frame brings, and what a read needs."""

    key: Tensor
    """[K, N, C]"""
    value: Tensor
    """[K, N, V]"""
    empty: Tensor | None = None
    """[K, N] true where there is no row; None: nowhere."""


class Slots(NamedTuple):
    """The rows of some channels, a feature and its history a slot."""

    key: Tensor
    """[K, S, C]"""
    value: Tensor
    """[K, S, V]"""
    order: Tensor
    """[K, S] step x MOST_POSITIONS + position in the frame, at which the row was appended; -1: no row."""
    use: Tensor
    """[K, S] sum over reads of ln(1 + positions that used the row), and over merges of ln(1 + features merged)."""
    prompt: Tensor
    """[K, S] 0, or the number of the channel's prompt that protects the row (1 = its first)."""

    @classmethod
    def empty(cls, like: Rows, channels: int, slots: int) -> "Slots":
        """So many, without a row."""
        shape, device = (channels, slots), like.key.device
        return cls(
            key=like.key.new_zeros(*shape, like.key.shape[2]),
            value=like.value.new_zeros(*shape, like.value.shape[2]),
            order=torch.full(shape, _EMPTY, device=device),
            use=torch.zeros(shape, device=device),
            prompt=torch.zeros(shape, dtype=torch.int64, device=device),
        )

    def part(self, channels: slice, end: int | None = None) -> "Slots":
        """Of these channels the slots before `end`, without a copy."""
        return Slots(*(x[channels, :end] for x in self))

    def rows(self, *, masked: bool) -> Rows:
        """What a read needs, without a copy of the features; unless `masked` no slot is empty."""
        return Rows(self.key, self.value, self.order < 0 if masked else None)

    def take_over(self, other: "Slots", channels: slice | list[int] = slice(None)) -> None:
        """Write another's first slots into those of these channels."""
        for own, others in zip(self, other, strict=True):
            own[channels, : others.shape[1]] = others

    def write(self, slot_KN: Tensor, new: Rows, *, step: int | Tensor, prompt: int) -> None:
        """New rows of one frame, unused so far."""
        position = torch.arange(slot_KN.shape[1], device=slot_KN.device)
        put(self.key, slot_KN, new.key)
        put(self.value, slot_KN, new.value)
        put(self.order, slot_KN, step * MOST_POSITIONS + position)
        put(self.use, slot_KN, self.use.new_zeros(()))
        put(self.prompt, slot_KN, self.prompt.new_full((), prompt))


class Placed(NamedTuple):
    """Where new rows go."""

    slot_KN: Tensor
    kept_KN: Tensor
    """The others are dropped, or need no slot; their `slot` says nothing."""
    evicts_KN: Tensor
    """Kept, where another row was."""


def at(x_KS: Tensor, slot_KN: Tensor) -> Tensor:
    """What stands in these slots of each channel: [K, N, ...]."""
    return x_KS[_channel(slot_KN), slot_KN]


def put(x_KS: Tensor, slot_KN: Tensor, entering_KN: Tensor) -> None:
    """Write into these slots of each channel."""
    x_KS[_channel(slot_KN), slot_KN] = entering_KN


def _channel(slot_KN: Tensor) -> Tensor:
    return torch.arange(len(slot_KN), device=slot_KN.device)[:, None]


def inserted(order: Tensor) -> Tensor:
    """The step at which a row was appended."""
    return order >> _POSITION_BITS


def num_rows(slots: Slots) -> Tensor:
    """Of each channel [K]."""
    return (slots.order >= 0).sum(dim=1)


def num_protected(slots: Slots) -> Tensor:
    """Of each channel [K]."""
    return ((slots.order >= 0) & (slots.prompt > 0)).sum(dim=1)


def nearest(stored: Rows, new_KNC: Tensor) -> tuple[Tensor, Tensor]:
    """Each new key's nearest stored key: (slot [K, N], cosine [K, N]), in bounded memory."""
    known = F.normalize(stored.key, dim=2).mT
    block = max(1, _CORRELATION_ELEMENTS // max(1, stored.key.shape[:2].numel()))
    best = [_best(F.normalize(part, dim=2) @ known, stored.empty) for part in new_KNC.split(block, dim=1)]
    return torch.cat([slot for slot, _ in best], dim=1), torch.cat([cosine for _, cosine in best], dim=1)


def _best(cosine_KNM: Tensor, empty_KM: Tensor | None) -> tuple[Tensor, Tensor]:
    if empty_KM is not None:
        cosine_KNM = cosine_KNM.masked_fill(empty_KM[:, None], -torch.inf)
    cosine, slot = cosine_KNM.max(dim=2)
    return slot, cosine


def merge(
    old: Rows, new: Rows, target_KN: Tensor, *, rate: float, keep_norm: bool, backend: SegmentMeanBackend = "torch"
) -> tuple[Rows, Tensor]:
    """Each target's row, moved towards the mean direction of the new ones that chose it, and how many did [K, N].

    `old` holds a new row's target at its place: equal targets get equal rows.
    """
    directions = torch.cat([F.normalize(new.key, dim=2), F.normalize(new.value, dim=2)], dim=2)
    mean, count_KN = segment_mean(directions, target_KN, backend)
    parts = mean.split([new.key.shape[2], new.value.shape[2]], dim=2)
    key, value = (_moved(row, part, rate, keep_norm) for row, part in zip(old[:2], parts, strict=True))
    return Rows(key, value), count_KN


def _moved(old_KNC: Tensor, mean_KNC: Tensor, rate: float, keep_norm: bool) -> Tensor:
    norm = old_KNC.norm(dim=2, keepdim=True)
    direction = (1 - rate) * F.normalize(old_KNC, dim=2) + rate * mean_KNC
    return norm * (F.normalize(direction, dim=2) if keep_norm else direction)


def place(
    slots: Slots, novel_KN: Tensor, similarity_KN: Tensor, *, step: int | Tensor, filled: int, protected: int
) -> Placed:
    """Slots for the novel rows: the empty ones first, then of rows that are not protected the least used for its age.

    Of novel rows that do not fit those least similar to the bank are kept. At most `filled` slots of a channel hold
    rows, and at most `protected` of these are safe: what that rules out is not looked at.
    """
    last, entering = slots.order.shape[1] - 1, novel_KN.shape[1]
    if filled + entering <= last + 1:  # nothing is evicted
        rank = novel_KN.cumsum(dim=1) - 1
        slot = (num_rows(slots)[:, None] + rank).clamp(min=0, max=last)
        return Placed(slot, novel_KN, torch.zeros_like(novel_KN))
    worth = _worth(slots, step=step, empty=_EMPTY)
    if last + 1 - min(filled, protected) < entering:
        novel_KN = _least_similar(novel_KN, similarity_KN, (worth < torch.inf).sum(dim=1))
    rank = (novel_KN.cumsum(dim=1) - 1).clamp(min=0, max=last)
    slot = _ranked(worth, slots.order).gather(1, rank)
    return Placed(slot, novel_KN, novel_KN & (at(slots.order, slot) >= 0))


def _worth(slots: Slots, *, step: int | Tensor, empty: float) -> Tensor:
    """[K, S] use / age; infinite for protected rows."""
    age = (step - inserted(slots.order)).clamp(min=1)
    worth = (slots.use / age).masked_fill(slots.prompt > 0, torch.inf)
    return worth.masked_fill(slots.order < 0, empty)


def _ranked(first_KS: Tensor, then_KS: Tensor) -> Tensor:
    """Slots [K, S] by the first value, ties by the other, then by their place."""
    by_other = then_KS.argsort(dim=1, stable=True)
    return by_other.gather(1, first_KS.gather(1, by_other).argsort(dim=1, stable=True))


def _least_similar(novel_KN: Tensor, similarity_KN: Tensor, room_K: Tensor) -> Tensor:
    by_similarity = similarity_KN.masked_fill(~novel_KN, torch.inf).argsort(dim=1, stable=True)
    return novel_KN & (by_similarity.argsort(dim=1) < room_K[:, None])


def evict(slots: Slots, count_K: Tensor, *, step: int | Tensor) -> Tensor:
    """Empty the slots of so many rows (or of all that are not protected), lowest use / age first, ties oldest first.

    Returns how many went [K]; the rows left move together.
    """
    worth = _worth(slots, step=step, empty=torch.inf)
    count_K = torch.minimum(count_K.clamp(min=0), (worth < torch.inf).sum(dim=1))
    leave(slots, _first(_ranked(worth, slots.order), count_K))
    return count_K


def leave(slots: Slots, leaving_KS: Tensor) -> None:
    """Empty these slots; the rows left move together, the oldest first."""
    slots.order.masked_fill_(leaving_KS, _EMPTY)
    together = _ranked((slots.order < 0).to(torch.int8), slots.order)
    for x in slots:
        x.copy_(at(x, together))


def limit_protection(slots: Slots, limit: int) -> None:
    """At most `limit` rows of a channel stay protected: the oldest lose it first, the channel's first prompt last."""
    held = (slots.order >= 0) & (slots.prompt > 0)
    turn = torch.where(held, (slots.prompt == 1).to(torch.int8), 2)
    losing = _first(_ranked(turn, slots.order), (held.sum(dim=1) - limit).clamp(min=0))
    slots.prompt.masked_fill_(losing, 0)


def _first(ranked_KS: Tensor, count_K: Tensor) -> Tensor:
    """True [K, S] for the first so many of the ranked slots."""
    among = torch.arange(ranked_KS.shape[1], device=ranked_KS.device) < count_K[:, None]
    return torch.zeros_like(among).scatter_(1, ranked_KS, among)
