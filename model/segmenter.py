"""The main path: one object per video, one call per frame.

    segmenter = VideoSegmenter(network, config, object_ids=(1, 2))
    for frame in video:
        result = segmenter.step(frame, prompt)

A step encodes the frame, reads the bank, decodes and refines, merges the prompt in, memorizes what is there, and
lets the bank absorb it; where things were is a hint to the next step. Live use, batch runs, evaluation and validation
during training all use this loop.

Legend: H, W native size; h, w network size (`max_side`); K channels = background + objects; P positions.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from model.bank import AdaptiveBank, BankConfig
from model.checkpoint import fingerprint
from model.cuts import ShotCuts, look
from model.effect import NO_EFFECT, effective
from model.errors import NonFinite, translate_out_of_memory
from model.labels import best_labels, merged_labels, shrunk_labels, upsampled_labels
from model.matcher import WORKSPACE_ELEMENTS
from model.network import AFBURR, with_weights_in
from model.ops import one_hot
from model.place import hint, seen
from model.result import BACKGROUND, VOID, BankStatistics, FrameResult, FrameStatistics, ObjectStatistics, Prompt
from model.runtime import flushed_denormals
from model.state import PlaceState, SegmenterState
from model.uncertainty import ambiguity, frame_statistics, object_uncertainty

Precision = Literal["fp32", "bf16", "fp16"]
AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
_MOST_ENLARGED = 2.0


@dataclass(frozen=True, kw_only=True)
class SegmenterConfig:
    """How one video is segmented; fields without effect on a mask are marked (`model.effect`)."""

    bank: BankConfig = field(default_factory=BankConfig)
    memory_every: int = 1
    """Memorize every n-th frame (prompted frames always)."""
    refine: bool = True
    """Uncertain-region refinement."""
    max_side: int = 864
    """Longest side the network sees, in pixels; 0 = no limit."""
    min_side: int = 360
    """Shortest side the network sees, in pixels: smaller videos are enlarged, at most twice; 0 = never."""
    precision: Precision = "fp32"
    object_chunk: int | None = field(default=None, metadata=NO_EFFECT)
    """Channels that go through the network together; None: all."""
    workspace: int = field(default=WORKSPACE_ELEMENTS, metadata=NO_EFFECT)
    """Attention weights held at a time."""

    def network_size(self, height: int, width: int) -> tuple[int, int]:
        """(h, w) for a native size."""
        scale = min(max(1.0, self.min_side / min(height, width)), _MOST_ENLARGED)
        if self.max_side:
            scale = min(scale, self.max_side / max(height, width))
        return max(1, round(height * scale)), max(1, round(width * scale))


class _Prediction(NamedTuple):
    """What the network says of a frame, at network size."""

    channels: tuple[int, ...]
    logits_Khw: Tensor
    probability_Khw: Tensor
    labels_hw: Tensor
    r4: Tensor


class VideoSegmenter:
    """Segments one video, frame by frame."""

    def __init__(self, network: AFBURR, config: SegmenterConfig, *, object_ids: Sequence[int] = ()) -> None:
        """`object_ids`: ids of all prompts to come, as far as known; they size the bank before the first frame."""
        dtype = AUTOCAST.get(config.precision)
        self._original = network.eval()
        self._network = with_weights_in(network, dtype) if dtype else network
        self._config = config
        self._device = next(network.parameters()).device
        self._bank = AdaptiveBank(config.bank)
        self._cuts = ShotCuts()
        self._planned = frozenset(object_ids)
        self._objects: set[int] = set()
        self._places: PlaceState | None = None
        self._step = 0

    def check_budget(self, height: int, width: int) -> None:
        """Refuse a bank budget that cannot hold the planned objects of a video of this native size.

        Raises:
            BudgetTooSmall: with the numbers.
        """
        self._config.bank.resolve_budget(self._num_channels(), self._positions(height, width))

    @torch.inference_mode()
    @flushed_denormals()
    def step(self, frame: Tensor, prompt: Prompt | None = None, *, keep_probabilities: bool = False) -> FrameResult:
        """Segment the next frame.

        Args:
            frame: RGB uint8 [3, H, W], any device.
            prompt: given masks of some objects in this frame, at native size.
            keep_probabilities: put the probabilities at network size into the result.

        Raises:
            ValueError: a frame or prompt of the wrong shape or type.
            NonFinite: NaN or infinity in features or scores.
            OutOfMemory: the device's memory did not suffice.
            BudgetTooSmall: the bank's budget cannot hold this many objects of this size.
        """
        _check(frame, prompt)
        with translate_out_of_memory():
            result = self._segment(frame, prompt, keep_probabilities)
        self._step += 1
        return result

    def _segment(self, frame: Tensor, prompt: Prompt | None, keep_probabilities: bool) -> FrameResult:
        height, width = frame.shape[-2:]
        if prompt is None and not self._objects:
            nothing = np.zeros((height, width), np.int32)
            return FrameResult(labels=nothing, objects=(), statistics=None, bank=BankStatistics(), prompted=False)
        picture = self._picture(frame)
        self._objects.update(prompt.object_ids if prompt else ())
        self._bank.begin_frame(channels=self._num_channels(), positions=self._positions(height, width), step=self._step)
        prediction = self._predict(picture) if len(self._bank.channels) > 1 else None
        frame_stats, object_stats = self._statistics(prediction)
        labels = self._native_labels(prediction, prompt, height, width)
        self._settle(picture, prediction, prompt)
        return FrameResult(
            labels=labels,
            objects=object_stats,
            statistics=frame_stats,
            bank=self._bank.statistics(),
            prompted=prompt is not None,
            shot_cut=self._cuts.add(self._look(picture, prediction)),
            probabilities=_as_numpy(prediction) if keep_probabilities else None,
        )

    def _num_channels(self) -> int:
        return 1 + len(self._planned | self._objects)

    def _positions(self, height: int, width: int) -> int:
        h, w = self._config.network_size(height, width)
        return -(-h // 16) * -(-w // 16)

    def _picture(self, frame: Tensor) -> Tensor:
        """[1, 3, h, w] float in [0, 1]."""
        picture = frame.to(self._device)[None].float() / 255
        size = self._config.network_size(*frame.shape[-2:])
        if size == tuple(frame.shape[-2:]):
            return picture
        return F.interpolate(picture, size, mode="bilinear", antialias=True, align_corners=False)

    def _predict(self, picture: Tensor) -> _Prediction:
        channels = self._bank.channels
        with self._autocast():
            found = self._network.segment(
                picture,
                [self._bank.memory()],
                hint_BKCyx=self._hint(channels, picture),
                refine=self._config.refine,
                chunk=self._config.object_chunk,
                valid_weight=self._config.bank.valid_weight,
                workspace=self._config.workspace,
            )
        self._bank.credit(found.use[0])
        logits = found.logits[0]
        if not bool(torch.isfinite(logits).all()):
            raise NonFinite("the network's scores are not finite")
        probability = torch.softmax(logits, dim=0)
        return _Prediction(channels, logits, probability, best_labels(logits, channels), found.r4)

    def _look(
        self, picture: Tensor, prediction: _Prediction | None
    ) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
        """What the frame is compared with others by [D]."""
        if prediction is not None:
            return look(picture, prediction.r4).cpu().numpy()
        with self._autocast():
            return look(picture, self._network.coarse_features(picture)).cpu().numpy()

    def _hint(self, channels: tuple[int, ...], picture: Tensor) -> Tensor | None:
        """Where the channels were in the last frame; None where nothing was or the picture had another size."""
        if (
            not self._network.takes_hints
            or self._places is None
            or self._places.picture_size != tuple(picture.shape[-2:])
        ):
            return None
        return hint(self._places.of(channels))[None]

    def _autocast(self) -> "torch.autocast | nullcontext[None]":
        dtype = AUTOCAST.get(self._config.precision)
        return torch.autocast(self._device.type, dtype) if dtype else nullcontext()

    def _statistics(
        self, prediction: _Prediction | None
    ) -> tuple[FrameStatistics | None, tuple[ObjectStatistics, ...]]:
        if prediction is None:
            unknown = (ObjectStatistics(object_id=i, score=None, uncertainty=None) for i in sorted(self._objects))
            return None, tuple(unknown)
        u_hw = ambiguity(prediction.probability_Khw, dim=0)[0]
        objects = tuple(_object_statistics(i, prediction, u_hw) for i in sorted(self._objects))
        return frame_statistics(prediction.probability_Khw, u_hw), objects

    def _native_labels(
        self, prediction: _Prediction | None, prompt: Prompt | None, height: int, width: int
    ) -> "np.ndarray[tuple[int, ...], np.dtype[np.int32]]":
        if prediction is None:
            predicted = torch.zeros(height, width, dtype=torch.int32, device=self._device)
        elif prediction.labels_hw.shape == (height, width):
            predicted = prediction.labels_hw
        else:
            predicted = upsampled_labels(prediction.logits_Khw, prediction.channels, (height, width))
        if prompt is not None:
            predicted = merged_labels(predicted, self._prompt_labels(prompt), prompt.object_ids)
        return predicted.cpu().numpy()

    def _prompt_labels(self, prompt: Prompt) -> Tensor:
        return torch.tensor(prompt.labels, device=self._device)

    def _settle(self, picture: Tensor, prediction: _Prediction | None, prompt: Prompt | None) -> None:
        """Keep what is known of the frame: features in the bank, and where the channels are."""
        if prompt is not None:
            labels = self._network_labels(picture, prediction, prompt)
            channels: tuple[int, ...] = (BACKGROUND, *sorted(self._objects))
            masks, annotated = one_hot(labels, channels), {BACKGROUND, *prompt.object_ids}
        elif prediction is not None:
            labels, channels = prediction.labels_hw, prediction.channels
            masks, annotated = prediction.probability_Khw, set()
        else:
            return
        if prompt is not None or self._step % self._config.memory_every == 0:
            self._memorize(picture, channels, masks, labels, annotated)
        # A correction is no movement.
        before = self._places.of(channels) if self._places and prompt is None else None
        self._places = PlaceState(channels, (picture.shape[-2], picture.shape[-1]), seen(masks, before))

    def _memorize(
        self, picture: Tensor, channels: tuple[int, ...], masks: Tensor, labels: Tensor, annotated: set[int]
    ) -> None:
        stored = [k for k, channel in enumerate(channels) if self._storable(channel, labels)]
        if not stored:
            return
        with self._autocast():
            ((rows,),) = self._network.memorize(picture, masks[None, stored], chunk=self._config.object_chunk)
        self._bank.absorb([channels[k] for k in stored], rows, step=self._step, annotated=annotated)

    def _network_labels(self, picture: Tensor, prediction: _Prediction | None, prompt: Prompt) -> Tensor:
        """The merged labels of a prompted frame at network size."""
        size = picture.shape[-2:]
        given = shrunk_labels(self._prompt_labels(prompt), size, prompt.object_ids)
        predicted = prediction.labels_hw if prediction else torch.zeros_like(given)
        return merged_labels(predicted, given, prompt.object_ids)

    def _storable(self, channel: int, labels_hw: Tensor) -> bool:
        """An object that is not in the frame stores nothing; the background must have rows to be matched with."""
        if self._config.bank.store_empty or (channel == BACKGROUND and BACKGROUND not in self._bank.channels):
            return True
        return bool((labels_hw == channel).any())

    def state(self) -> SegmenterState:
        """All that `restore` needs to go on with the next frame; it stays as it is when this segmenter goes on."""
        return SegmenterState(
            settings=effective(self._config),
            weights=self._weights,
            step=self._step,
            planned=tuple(sorted(self._planned)),
            objects=tuple(sorted(self._objects)),
            bank=self._bank.state(),
            places=self._places.on(torch.device("cpu")) if self._places else None,
            cuts=self._cuts.state(),
        )

    def restore(self, state: SegmenterState) -> None:
        """Continue as the segmenter that gave this `state()`.

        Raises:
            BadState: that one was of another version, configuration or other weights, each by its name.
        """
        state.check(settings=effective(self._config), weights=self._weights)
        self._step = state.step
        self._planned = frozenset(state.planned)
        self._objects = set(state.objects)
        self._bank.restore(state.bank, self._device)
        self._places = state.places.on(self._device) if state.places else None
        self._cuts.restore(state.cuts)

    @cached_property
    def _weights(self) -> str:
        """The network's fingerprint: reads all weights once."""
        return fingerprint(self._original)


def _check(frame: Tensor, prompt: Prompt | None) -> None:
    if frame.dtype != torch.uint8 or frame.dim() != 3 or frame.shape[0] != 3:
        raise ValueError(f"a frame is RGB uint8 [3, H, W], not {frame.dtype} {tuple(frame.shape)}")
    if prompt is None:
        return
    if prompt.labels.shape != tuple(frame.shape[-2:]):
        raise ValueError(f"the prompt is {prompt.labels.shape}, the frame {tuple(frame.shape[-2:])}")
    if prompt.labels.dtype != np.int32:
        raise ValueError(f"prompt labels are int32, not {prompt.labels.dtype}")
    if not prompt.object_ids or {BACKGROUND, VOID} & set(prompt.object_ids):
        raise ValueError(f"a prompt speaks for objects, never for 0 (background) or {VOID} (void)")


def _object_statistics(object_id: int, prediction: _Prediction, u_hw: Tensor) -> ObjectStatistics:
    if object_id not in prediction.channels:
        return ObjectStatistics(object_id=object_id, score=None, uncertainty=None)
    mask = prediction.labels_hw == object_id
    probability = prediction.probability_Khw[prediction.channels.index(object_id)]
    pixels = mask.sum()
    score = (probability * mask).sum() / pixels
    values = torch.stack([pixels.float(), score, object_uncertainty(u_hw, mask)]).tolist()
    return ObjectStatistics(object_id=object_id, score=values[1] if values[0] else None, uncertainty=values[2])


def _as_numpy(prediction: _Prediction | None) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None":
    return None if prediction is None else prediction.probability_Khw.cpu().numpy()
