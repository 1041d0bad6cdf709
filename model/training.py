"""Training on short clips: the loop of the segmenter, with gradients (paper, section 3.5).

The first frame of a clip is memorized with its true masks; every further frame is segmented with all rows so far,
and memorized with what was predicted. Rows are only appended: a clip is short, and gradients flow through the read.
Where things were in the frame before is a hint, though not always a true one (`model.doubt`), and without gradient.

Knows nothing of files: clips come from an iterable, reports go to a callback.

Legend: B clips alike in size and objects, T frames, K channels, H W crop.
"""

import copy
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.clip import Clip
from model.doubt import Doubts, doubts
from model.network import AFBURR
from model.place import hint, seen
from model.result import VOID
from model.runtime import flushed_denormals
from model.segmenter import AUTOCAST, Precision
from model.slots import Rows
from model.trunk import Lite0Trunk
from model.uncertainty import CONFIDENCE_WEIGHT, confidence_loss


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How the network learns."""

    steps: int
    learning_rate: float = 4e-4
    trunk_rate: float = 0.25
    """Learning rate of the trunks, relative to the rest."""
    weight_decay: float = 1e-4
    warmup_steps: int = 50
    decay_from: float = 0.5
    """Share of the steps after which the learning rate falls linearly to zero."""
    jaccard_weight: float = 0.5
    confidence_weight: float = CONFIDENCE_WEIGHT
    """Weight of the uncertainty in the loss (paper, equation 10)."""
    ema: float = 0.998
    """Decay of the running mean of the weights, which is what is kept."""
    frozen_blocks: int = 3
    """First blocks of a Lite0 query trunk that keep their ImageNet weights."""
    frozen_trunks: bool = False
    """Whether both trunks, and what gives them the masks, keep their weights: a step takes half as long."""
    precision: Precision = "bf16"
    clip_norm: float = 1.0
    seed: int = 0

    def rate_at(self, step: int) -> float:
        """Factor on the learning rate."""
        warm = min(1.0, (step + 1) / max(1, self.warmup_steps))
        begin = self.decay_from * self.steps
        return warm * min(1.0, max(0.0, (self.steps - step) / max(1.0, self.steps - begin)))


@dataclass(frozen=True, kw_only=True)
class Losses:
    """Means over the clips of a step."""

    total: float
    cross_entropy: float
    jaccard: float
    """1 - soft J of the objects."""
    uncertainty: float


class Trainer:
    """Network, running mean and optimiser: `step` by step, with a state that resumes to the same curve.

    Several trainers that start alike and share each step's clips among them stay alike: `reduce` adds up the
    given tensors over all of them, in place. They learn as one trainer does from all the clips.
    """

    def __init__(
        self, network: AFBURR, config: TrainingConfig, reduce: Callable[[Sequence[Tensor]], None] | None = None
    ) -> None:
        self.config = config
        self.step_number = 0
        self.network = network.train()
        self.average = {name: value.detach().clone() for name, value in network.state_dict().items()}
        _freeze(network, config)
        self._trained = [p for p in network.parameters() if p.requires_grad]
        self._optimiser = torch.optim.AdamW(_groups(network, config), weight_decay=config.weight_decay)
        self._base_rates = [group["lr"] for group in self._optimiser.param_groups]
        self._reduce = reduce

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self._trained[0].device

    @flushed_denormals()
    def step(self, clips: Sequence[Clip]) -> Losses:
        """Learn from some clips of any sizes and numbers of objects; of several trainers, from this one's share."""
        for group, rate in zip(self._optimiser.param_groups, self._base_rates, strict=True):
            group["lr"] = rate * self.config.rate_at(self.step_number)
        losses = self._set_gradients(clips)
        nn.utils.clip_grad_norm_(self._trained, self.config.clip_norm)
        self._optimiser.step()
        self._update_average()
        self.step_number += 1
        return losses

    def _set_gradients(self, clips: Sequence[Clip]) -> Losses:
        """Sums over the clips first, so that trainers with unequal shares can add theirs up."""
        self._optimiser.zero_grad(set_to_none=True)
        parts = torch.zeros(4, device=self.device)
        count = torch.zeros(1, device=self.device)
        for alike in _alike(clips):
            losses = self._losses(alike) * len(alike)
            losses[0].backward()
            parts += losses.detach()
            count += len(alike)
        gradients = [_gradient(parameter) for parameter in self._trained]
        if self._reduce:
            self._reduce([*gradients, parts, count])
        for gradient in gradients:
            gradient /= count
        total, cross_entropy, jaccard, uncertainty = (parts / count).tolist()
        return Losses(total=total, cross_entropy=cross_entropy, jaccard=jaccard, uncertainty=uncertainty)

    def _losses(self, clips: Sequence[Clip]) -> Tensor:
        """[4]: total, cross entropy, 1 - J, uncertainty; mean over the predicted frames."""
        pictures = torch.stack([_pictures(clip) for clip in clips]).to(self.device)
        labels = torch.stack([torch.from_numpy(clip.labels) for clip in clips]).to(self.device).long()
        channels = _num_channels(clips[0])
        with torch.autocast(
            self.device.type, AUTOCAST.get(self.config.precision), enabled=self.config.precision != "fp32"
        ):
            per_frame = [
                self._frame_losses(logits, truth)
                for logits, truth in self._predict(pictures, labels, channels, doubts(clips, channels, self.device))
            ]
        return torch.stack(per_frame).mean(dim=0)

    def _predict(
        self, pictures_BT3HW: Tensor, labels_BTHW: Tensor, channels: int, doubts: Doubts
    ) -> Iterable[tuple[Tensor, Tensor]]:
        """Logits [B, K, H, W] and true labels [B, H, W] of every frame but the first."""
        frames = pictures_BT3HW.shape[1]
        masks = _one_hot(labels_BTHW[:, 0], channels)
        memory = self.network.memorize(pictures_BT3HW[:, 0], masks)
        nearby: Sequence[Sequence[Rows | None]] | None = memory if self.network.reads_nearby else None
        place = first = seen(masks.flatten(0, 1))
        for t in range(1, frames):
            told = hint(doubts.about(place, first, t)).unflatten(0, masks.shape[:2])
            logits = self.network.segment(pictures_BT3HW[:, t], memory, nearby=nearby, hint_BKCyx=told).logits
            yield logits, labels_BTHW[:, t]
            if t + 1 < frames:
                masks = torch.softmax(logits, dim=1)
                place = seen(masks.flatten(0, 1), place)
                more = self.network.memorize(pictures_BT3HW[:, t], masks)
                nearby = more if nearby is not None else None
                memory = [
                    [_joined(*rows) for rows in zip(*both, strict=True)] for both in zip(memory, more, strict=True)
                ]

    def _frame_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        logits = logits.float()
        confidence = confidence_loss(logits, labels, weight=self.config.confidence_weight)
        jaccard = _soft_jaccard_loss(logits, labels)
        total = confidence.total + self.config.jaccard_weight * jaccard
        return torch.stack([total, confidence.cross_entropy, jaccard, confidence.uncertainty])

    @torch.no_grad()
    def _update_average(self) -> None:
        # The mean of few steps must not remember the start.
        decay = min(self.config.ema, (1 + self.step_number) / (10 + self.step_number))
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1 - decay)

    def averaged(self) -> AFBURR:
        """A network of the running mean, for evaluation and checkpoints."""
        network = copy.deepcopy(self.network)
        network.load_state_dict(self.average)
        return network.eval()

    def state(self) -> dict[str, object]:
        """All that `restore` needs to go on to the same weights."""
        return {
            "step": self.step_number,
            "network": self.network.state_dict(),
            "average": self.average,
            "optimiser": self._optimiser.state_dict(),
        }

    def restore(self, state: Mapping[str, object]) -> None:
        """Continue where `state()` was taken."""
        self.step_number = int(state["step"])  # type: ignore[call-overload]
        self.network.load_state_dict(state["network"])  # type: ignore[arg-type]
        average: Mapping[str, Tensor] = state["average"]  # type: ignore[assignment]
        self.average = {name: value.clone() for name, value in average.items()}
        self._optimiser.load_state_dict(state["optimiser"])  # type: ignore[arg-type]


def fit(
    trainer: Trainer,
    clips: Callable[[int, random.Random], Sequence[Clip]],
    on_step: Callable[[int, Losses], None] = lambda _step, _losses: None,
) -> None:
    """Train to the configured number of steps.

    `clips` draws the clips of a step; its generator is seeded by the step, so that a resumed run sees the same.
    """
    while trainer.step_number < trainer.config.steps:
        step = trainer.step_number
        losses = trainer.step(clips(step, random.Random(f"{trainer.config.seed}:{step}")))
        on_step(step, losses)


def _gradient(parameter: nn.Parameter) -> Tensor:
    """What backward left; zeros where no clip had a say."""
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


def _freeze(network: AFBURR, config: TrainingConfig) -> None:
    for module in _frozen(network, config):
        for parameter in module.parameters():
            parameter.requires_grad_(False)


def _frozen(network: AFBURR, config: TrainingConfig) -> list[nn.Module]:
    if config.frozen_trunks:
        return [network.query_encoder, network.reference_encoder]
    trunk = network.query_encoder.trunk
    if config.frozen_blocks and isinstance(trunk, Lite0Trunk):
        return [trunk.conv_stem, *trunk.blocks[: config.frozen_blocks]]
    return []


def _groups(network: AFBURR, config: TrainingConfig) -> list[dict[str, object]]:
    named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    trunk = [p for name, p in named if ".trunk." in name]
    rest = [p for name, p in named if ".trunk." not in name]
    return [
        {"params": trunk, "lr": config.learning_rate * config.trunk_rate},
        {"params": rest, "lr": config.learning_rate},
    ]


def _alike(clips: Sequence[Clip]) -> list[list[Clip]]:
    """Clips that fit into one batch: equal shapes and numbers of objects."""
    groups: dict[tuple[object, ...], list[Clip]] = defaultdict(list)
    for clip in clips:
        groups[(*clip.frames.shape, _num_channels(clip))].append(clip)
    return list(groups.values())


def _num_channels(clip: Clip) -> int:
    """Background and the objects of the first frame; they are numbered from 1 without a gap."""
    first = clip.labels[0]
    return 1 + int(first[first != VOID].max())


def _pictures(clip: Clip) -> Tensor:
    """[T, 3, H, W] float in [0, 1]."""
    return torch.from_numpy(clip.frames).permute(0, 3, 1, 2).float() / 255


def _one_hot(labels_BHW: Tensor, channels: int) -> Tensor:
    known = labels_BHW.clamp(max=channels)  # void falls into a channel of its own, which is cut off
    return F.one_hot(known, channels + 1)[..., :channels].permute(0, 3, 1, 2).float()


def _joined(older: Rows, newer: Rows) -> Rows:
    return Rows(torch.cat([older.key, newer.key], dim=1), torch.cat([older.value, newer.value], dim=1))


def _soft_jaccard_loss(logits_BKHW: Tensor, labels_BHW: Tensor) -> Tensor:
    """1 - J with probabilities for masks, mean over the objects (the background left out)."""
    probability = torch.softmax(logits_BKHW, dim=1)[:, 1:]
    truth = _one_hot(labels_BHW, logits_BKHW.shape[1])[:, 1:]
    known = (labels_BHW != VOID)[:, None]
    probability = probability * known
    both = (probability * truth).sum(dim=(2, 3))
    either = (probability + truth - probability * truth).sum(dim=(2, 3))
    return (1 - (both + 1) / (either + 1)).mean()
