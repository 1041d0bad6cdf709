"""What a segmenter holds between two frames, as values and as bytes, so that a video can go on elsewhere.

The bytes are a safetensors file: the rows as tensors, all else as JSON in its header. Nothing in them is executed.

Legend: M stored rows of a channel, C key width, V value width, n frames, D values that a frame is compared by.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Generic, TypeVar

import torch
from safetensors import SafetensorError
from torch import Tensor

from model.errors import BadState
from model.nearby import Nearby
from model.place import Place
from model.slots import inserted
from model.tensor_file import pack, unpack

STATE_VERSION = 5
"""Raised by hand when a state of before can no longer be gone on with."""
_HEADER = "segmenter"
_LAST_FRAMES = ("places", "nearby")
"""Fields of a state that are a `LastFrame`."""
_LOOKS = "looks"


@dataclass(frozen=True, kw_only=True)
class ChannelState:
    """One channel's stored rows as they lie in its slots, on the CPU; what they mean, `model.slots.Slots` says."""

    key: Tensor
    """[M, C]"""
    value: Tensor
    """[M, V]"""
    order: Tensor
    """[M]"""
    use: Tensor
    """[M]"""
    prompt: Tensor
    """[M]"""

    @property
    def inserted(self) -> Tensor:
        """[M] the step at which each row was appended."""
        return inserted(self.order)


@dataclass(frozen=True, kw_only=True)
class BankState:
    """All that a bank holds."""

    channels: Mapping[int, ChannelState]
    prompts: Mapping[int, int]
    """Prompts that each channel has had."""


Seen = TypeVar("Seen", Place, Nearby)


@dataclass(frozen=True)
class LastFrame(Generic[Seen]):
    """What the last frame says of the channels of a video."""

    channels: tuple[int, ...]
    picture_size: tuple[int, int]
    """(h, w) of the pictures that the network saw."""
    seen: Seen

    def of(self, channels: Sequence[int]) -> Seen:
        """Of these channels; one that is not among those known was nowhere."""
        if tuple(channels) == self.channels:
            return self.seen
        index = [self.channels.index(channel) if channel in self.channels else -1 for channel in channels]
        return self.seen.select(torch.tensor(index, device=self.seen.known_N.device))

    def widened(self, channels: tuple[int, ...]) -> "LastFrame[Seen]":
        """What it says of these channels."""
        return LastFrame(channels, self.picture_size, self.of(channels))

    def taken_over(self, before: "LastFrame[Seen] | None") -> "LastFrame[Seen]":
        """The same, where it can be at the place in memory of the one before, which is no more then."""
        if before is None or (before.channels, before.picture_size) != (self.channels, self.picture_size):
            return self
        for own, new in zip(before.seen, self.seen, strict=True):
            own.copy_(new)
        return before

    def on(self, device: torch.device) -> "LastFrame[Seen]":
        """A copy, on another device or not."""
        values = [values.to(device, copy=True) for values in self.seen]
        return LastFrame(self.channels, self.picture_size, type(self.seen)(*values))


@dataclass(frozen=True, kw_only=True)
class CutState:
    """All that `model.cuts.ShotCuts` holds."""

    looks: Tensor
    """[n, D] of the last frames of the shot, on the CPU."""
    fade_step: float
    fade_frames_left: int
    """0: no fade is under way."""
    quiet_frames: int


@dataclass(frozen=True, kw_only=True)
class SegmenterState:
    """All that a segmenter needs to go on with the next frame, and what it was made with."""

    version: int = STATE_VERSION
    settings: Mapping[str, object]
    """The configuration, as far as it can change a mask (`model.effect.effective`)."""
    weights: str
    """The network's fingerprint."""
    step: int
    """Frames seen."""
    planned: tuple[int, ...]
    """Objects that were announced."""
    objects: tuple[int, ...]
    """Objects prompted so far."""
    bank: BankState
    places: LastFrame[Place] | None
    """None before the first prompt, and for a network that takes no hints."""
    nearby: LastFrame[Nearby] | None
    """Of the last frame that was memorized; None also for a network that does not read it."""
    cuts: CutState

    def check(self, *, settings: Mapping[str, object], weights: str) -> None:
        """Refuse a state that a segmenter with these settings and weights would not have made.

        Raises:
            BadState: another version, other settings or other weights, each by its name.
        """
        _check_version(self.version)
        if different := _differences(self.settings, settings):
            raise BadState("; ".join(different) + ": go on with the same settings, or begin the video anew")
        if self.weights != weights:
            raise BadState(
                f"this state was made with the weights {self.weights}, this segmenter has {weights}: "
                "go on with the same checkpoint, or begin the video anew"
            )

    def to_bytes(self) -> bytes:
        """A safetensors file."""
        rows = {
            f"{channel}.{name}": tensor
            for channel, stored in self.bank.channels.items()
            for name, tensor in vars(stored).items()
        }
        said = {name: value for name, value in vars(self).items() if name not in ("bank", "cuts", *_LAST_FRAMES)}
        cuts = {name: value for name, value in vars(self.cuts).items() if name != _LOOKS}
        held: dict[str, object] = {
            "channels": list(self.bank.channels),
            "prompts": list(self.bank.prompts.items()),
            "cuts": cuts,
            **dict.fromkeys(_LAST_FRAMES),
        }
        rows[_LOOKS] = self.cuts.looks
        for kind in _LAST_FRAMES:
            last: LastFrame[Place] | LastFrame[Nearby] | None = getattr(self, kind)
            if last:
                held[kind] = [last.channels, last.picture_size]
                rows |= {f"{kind}.{name}": values.contiguous() for name, values in last.seen._asdict().items()}
        return pack(rows, {_HEADER: json.dumps({**said, **held})})

    @classmethod
    def from_bytes(cls, data: bytes) -> "SegmenterState":
        """What `to_bytes` gave. Raises BadState for anything else, and for a state of another version."""
        try:
            return cls._parse(data)
        except (SafetensorError, LookupError, ValueError, TypeError) as error:
            raise BadState(f"these bytes are no state of a segmenter, or damaged ({error})") from error

    @classmethod
    def _parse(cls, data: bytes) -> "SegmenterState":
        header, rows = unpack(data)
        said = json.loads(header[_HEADER])
        _check_version(said["version"])
        names = [field.name for field in fields(ChannelState)]
        channels = {
            channel: ChannelState(**{name: rows[f"{channel}.{name}"] for name in names})
            for channel in said.pop("channels")
        }
        bank = BankState(channels=channels, prompts=dict(said.pop("prompts")))
        cuts = CutState(looks=rows[_LOOKS], **said.pop("cuts"))
        planned, objects = tuple(said.pop("planned")), tuple(said.pop("objects"))
        places = _last_frame(said.pop("places"), "places", Place, rows)
        nearby = _last_frame(said.pop("nearby"), "nearby", Nearby, rows)
        return cls(**said, planned=planned, objects=objects, bank=bank, places=places, nearby=nearby, cuts=cuts)


def _last_frame(
    said: list[list[int]] | None, name: str, kind: type[Seen], rows: Mapping[str, Tensor]
) -> LastFrame[Seen] | None:
    if said is None:
        return None
    channels, (height, width) = said
    return LastFrame(tuple(channels), (height, width), kind(*(rows[f"{name}.{field}"] for field in kind._fields)))


def _check_version(version: int) -> None:
    if version != STATE_VERSION:
        raise BadState(
            f"this state has version {version}, this segmenter reads {STATE_VERSION}: "
            "go on with the vos-batch that made it, or begin the video anew"
        )


def _differences(made: Mapping[str, object], own: Mapping[str, object]) -> list[str]:
    made, own = _flat(made), _flat(own)
    return [
        f"this state was made {_said(made, name)}, this segmenter has {own.get(name, 'none')}"
        for name in sorted(made.keys() | own.keys())
        if (name in made, made.get(name)) != (name in own, own.get(name))
    ]


def _said(settings: Mapping[str, object], name: str) -> str:
    return f"with {name} {settings[name]}" if name in settings else f"without {name}"


def _flat(settings: Mapping[str, object], above: str = "") -> dict[str, object]:
    """Nested settings by names like `bank.budget`."""
    flat: dict[str, object] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{above}{name}.") if isinstance(value, Mapping) else {f"{above}{name}": value}
    return flat
