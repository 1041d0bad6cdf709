"""The main path: one object per video, one call per frame.

    segmenter = VideoSegmenter(network, config, object_ids=(1, 2))
    for frame in video:
        result = segmenter.step(frame, prompt)    # submit(frame, prompt), and collect() what comes of it

A step encodes the frame, reads the bank, decodes and refines, merges the prompt in, memorizes what is there, and
lets the bank absorb it; where things were is a hint to the next step. Live use, batch runs, evaluation and validation
during training all use this loop.

Legend: H, W native size; h, w network size (`max_side`); K channels = background + objects; P positions.
"""

from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from model.bank import AdaptiveBank, BankConfig
from model.capture import Captured, Record
from model.checkpoint import fingerprint
from model.cuts import ShotCuts, look
from model.effect import NO_EFFECT, effective
from model.errors import NonFinite, translate_out_of_memory
from model.labels import best_labels, merged_labels, shrunk_labels, upsampled_labels
from model.matcher import WORKSPACE_ELEMENTS
from model.nearby import Nearby
from model.network import AFBURR, with_weights_in
from model.ops import one_hot
from model.parcel import Parcel
from model.place import Place, hint, seen
from model.prediction import Prediction, object_statistics
from model.result import BACKGROUND, VOID, BankStatistics, FrameResult, Labels, Prompt
from model.runtime import flushed_denormals, repeatable
from model.slots import Rows
from model.state import LastFrame, SegmenterState
from model.transfer import Download
from model.uncertainty import as_frame_statistics

Precision = Literal["fp32", "bf16", "fp16"]
AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
_MOST_ENLARGED = 2.0
_NOT_FINITE = "the network's scores are not finite"


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


class _Submitted(NamedTuple):
    """A frame under way: what of it lies on the device, and what the host knows."""

    parcel: Parcel
    """Counts of the bank, labels, what cuts are seen by, and of a prediction its `values`."""
    names: "np.ndarray[tuple[int, ...], np.dtype[np.int32]] | None"
    """Of the values of the labels, where these are places of channels."""
    channels: tuple[int, ...]
    """Of the prediction; none where there is none."""
    objects: tuple[int, ...]
    prompted: bool
    probability_Khw: Tensor | None
    coming: Download | None = None
    """The parcel, on its way to the host."""


class VideoSegmenter:
    """Segments one video, frame by frame."""

    def __init__(
        self,
        network: AFBURR,
        config: SegmenterConfig,
        *,
        object_ids: Sequence[int] = (),
        together: bool | None = None,
        record: Record | None = None,
    ) -> None:
        """`object_ids`: ids of all prompts to come, as far as known; they size the bank before the first frame.

        `together`: all channels go through all parts in one, and the host asks for nothing before `collect` where no
        prompt is; None: on a GPU. Masks are those of channels that go alone, to rounding.

        `record`: where all go together, records frames that are alike (`model.capture`), with the same masks; None:
        the host asks for every operation.
        """
        dtype = AUTOCAST.get(config.precision)
        self._original = network.eval()
        self._network = with_weights_in(network, dtype) if dtype else network
        self._config = config
        self._device = next(network.parameters()).device
        self._together = self._device.type != "cpu" if together is None else together
        self._bank = AdaptiveBank(config.bank, together=self._together)
        self._captured = Captured[_Submitted](record if self._together else None, self._device)
        self._clock = torch.zeros((), dtype=torch.int64, device=self._device)
        """The step, on the device."""
        self._submitted: _Submitted | FrameResult | None = None
        self._cuts = ShotCuts()
        self._planned = frozenset(object_ids)
        self._objects: set[int] = set()
        self._places: LastFrame[Place] | None = None
        self._nearby: LastFrame[Nearby] | None = None
        self._reads_nearby = network.reads_nearby
        self._step = 0

    def check_budget(self, height: int, width: int) -> None:
        """Refuse a bank budget that cannot hold the planned objects of a video of this native size.

        Raises:
            BudgetTooSmall: with the numbers.
        """
        self._config.bank.resolve_budget(self._num_channels(), self._positions(height, width))

    def step(self, frame: Tensor, prompt: Prompt | None = None, *, keep_probabilities: bool = False) -> FrameResult:
        """Segment the next frame: `submit`, and `collect` at once."""
        self.submit(frame, prompt, keep_probabilities=keep_probabilities)
        return self.collect()

    @torch.inference_mode()
    @flushed_denormals()
    @repeatable()
    def submit(self, frame: Tensor, prompt: Prompt | None = None, *, keep_probabilities: bool = False) -> None:
        """Begin with the next frame; a GPU is not waited for, unless there is a prompt.

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
        if self._submitted is not None:
            raise RuntimeError("collect() the frame before first")
        with translate_out_of_memory():
            found = self._segment(frame, prompt, keep_probabilities)
            # Not part of a step: what is recorded would bring everything to the same memory of the host.
            self._submitted = found if isinstance(found, FrameResult) else found._replace(coming=found.parcel.send())
        self._step += 1

    def collect(self) -> FrameResult:
        """What came of the frame that was submitted; waits for it, once.

        Raises:
            NonFinite, OutOfMemory: as `submit`, which a GPU has not told yet.
        """
        submitted, self._submitted = self._submitted, None
        if submitted is None:
            raise RuntimeError("submit() a frame first")
        with translate_out_of_memory():
            return submitted if isinstance(submitted, FrameResult) else self._result(submitted)

    def _segment(self, frame: Tensor, prompt: Prompt | None, keep_probabilities: bool) -> _Submitted | FrameResult:
        height, width = frame.shape[-2:]
        if prompt is None and not self._objects:
            nothing = np.zeros((height, width), np.int32)
            return FrameResult(labels=nothing, objects=(), statistics=None, bank=BankStatistics(), prompted=False)
        self._objects.update(prompt.object_ids if prompt else ())
        self._bank.begin_frame(channels=self._num_channels(), positions=self._positions(height, width), step=self._step)
        self._clock.fill_(self._step)
        if prompt is not None:
            self._captured.forget()  # it may give what is kept another place in memory
            return self._one_step(frame, prompt, keep_probabilities)
        like = (self._bank.extent(), self._memorizes(), keep_probabilities)
        return self._captured.run(like, frame, lambda given: self._one_step(given, None, keep_probabilities))

    def _one_step(self, frame: Tensor, prompt: Prompt | None, keep_probabilities: bool) -> _Submitted:
        """Without a prompt, and with all channels together, it can be recorded (`model.capture`)."""
        self._bank.rewind()
        picture = self._picture(frame)
        prediction = self._predict(picture) if len(self._bank.channels) > 1 else None
        found = prediction.values(together=self._together) if prediction else []
        labels, names = self._native_labels(prediction, prompt, frame.shape[-2], frame.shape[-1])
        self._settle(picture, prediction, prompt)
        return _Submitted(
            parcel=Parcel([self._bank.counts(), labels, self._look(picture, prediction), *found]),
            names=names,
            channels=prediction.channels if prediction else (),
            objects=tuple(sorted(self._objects)),
            prompted=prompt is not None,
            probability_Khw=prediction.probability_Khw if prediction and keep_probabilities else None,
        )

    def _result(self, submitted: _Submitted) -> FrameResult:
        coming = submitted.coming or submitted.parcel.send()
        counts, labels, appearance, *found = submitted.parcel.opened(coming.fetch())
        if found and not found[0]:
            with suppress(NonFinite):  # of the features that such scores lead to
                self._bank.settle(counts.tolist())
            raise NonFinite(_NOT_FINITE)
        probability = submitted.probability_Khw
        values = dict(zip(submitted.channels[1:], found[2].tolist(), strict=True)) if found else {}
        return FrameResult(
            labels=labels if submitted.names is None else _named(labels, submitted.names),
            objects=tuple(object_statistics(i, values.get(i)) for i in submitted.objects),
            statistics=as_frame_statistics(found[1].tolist()) if found else None,
            bank=self._bank.settle(counts.tolist()),
            prompted=submitted.prompted,
            shot_cut=self._cuts.add(appearance),
            probabilities=None if probability is None else probability.to("cpu", copy=True).numpy(),
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

    def _predict(self, picture: Tensor) -> Prediction:
        channels = self._bank.channels
        with self._autocast():
            found = self._network.segment(
                picture,
                [self._bank.memory()],
                nearby=self._near(channels, picture),
                hint_BKCyx=self._hint(channels, picture),
                refine=self._config.refine,
                chunk=self._config.object_chunk,
                valid_weight=self._config.bank.valid_weight,
                workspace=self._config.workspace,
            )
        self._bank.credit(found.use[0])
        logits = found.logits[0]
        finite = torch.isfinite(logits).all()
        if not self._together and not finite:
            raise NonFinite(_NOT_FINITE)
        probability = torch.softmax(logits, dim=0)
        return Prediction(channels, logits, probability, best_labels(logits, range(len(channels))), finite, found.r4)

    def _look(self, picture: Tensor, prediction: Prediction | None) -> Tensor:
        """What the frame is compared with others by [D]."""
        if prediction is not None:
            return look(picture, prediction.r4)
        with self._autocast():
            return look(picture, self._network.coarse_features(picture))

    def _hint(self, channels: tuple[int, ...], picture: Tensor) -> Tensor | None:
        """Where the channels were in the last frame; None where nothing was or the picture had another size."""
        last = self._places
        return hint(last.of(channels))[None] if last and last.picture_size == tuple(picture.shape[-2:]) else None

    def _near(self, channels: tuple[int, ...], picture: Tensor) -> list[list[Rows | None]] | None:
        """What the channels have left at each position in the last frame that was memorized; else as `_hint`."""
        last = self._nearby
        if last is None or last.picture_size != tuple(picture.shape[-2:]):
            return None
        found = last.of(channels)
        return [[found.rows(lane, masked=self._together) for lane in self._bank.lanes()]]

    def _autocast(self) -> "torch.autocast | nullcontext[None]":
        dtype = AUTOCAST.get(self._config.precision)
        return torch.autocast(self._device.type, dtype) if dtype else nullcontext()

    def _native_labels(
        self, prediction: Prediction | None, prompt: Prompt | None, height: int, width: int
    ) -> "tuple[Tensor, np.ndarray[tuple[int, ...], np.dtype[np.int32]] | None]":
        """Labels [H, W]; without a prompt places of channels, in few bytes, and the channels."""
        if prediction is None:
            predicted = torch.zeros(height, width, dtype=torch.int32, device=self._device)
            channels: tuple[int, ...] = (BACKGROUND,)
        else:
            predicted, channels = prediction.index_hw, prediction.channels
            if predicted.shape != (height, width):
                predicted = upsampled_labels(prediction.logits_Khw, range(len(channels)), (height, width))
        if prompt is None:
            return predicted.to(torch.uint8 if len(channels) <= 256 else torch.int16), np.array(channels, np.int32)
        named = torch.tensor(channels, dtype=torch.int32, device=self._device)[predicted]
        return merged_labels(named, self._prompt_labels(prompt), prompt.object_ids), None

    def _prompt_labels(self, prompt: Prompt) -> Tensor:
        return torch.tensor(prompt.labels, device=self._device)

    def _settle(self, picture: Tensor, prediction: Prediction | None, prompt: Prompt | None) -> None:
        """Keep what is known of the frame: features in the bank, and where the channels are."""
        if prompt is not None:
            labels = self._network_labels(picture, prediction, prompt)
            channels: tuple[int, ...] = (BACKGROUND, *sorted(self._objects))
            masks, annotated = one_hot(labels, channels), {BACKGROUND, *prompt.object_ids}
            present_K = masks.flatten(1).any(dim=1)
        elif prediction is not None:
            channels, masks, annotated = prediction.channels, prediction.probability_Khw, set()
            present_K = prediction.present()
        else:
            return
        if prompt is not None or self._memorizes():
            self._memorize(picture, channels, masks, present_K, annotated)
        if self._network.takes_hints:
            self._see(picture, channels, masks, prompted=prompt is not None)

    def _memorizes(self) -> bool:
        """Whether a frame without a prompt is memorized."""
        return self._step % self._config.memory_every == 0

    def _see(self, picture: Tensor, channels: tuple[int, ...], masks: Tensor, *, prompted: bool) -> None:
        """Keep where the channels are; a correction is no movement."""
        before = self._places.of(channels) if self._places and not prompted else None
        found = LastFrame(channels, (picture.shape[-2], picture.shape[-1]), seen(masks, before))
        self._places = found.taken_over(self._places)

    def _memorize(
        self, picture: Tensor, channels: tuple[int, ...], masks: Tensor, present_K: Tensor, annotated: set[int]
    ) -> None:
        """`annotated` is empty where there is no prompt."""
        stored = list(range(len(channels)))
        if annotated or not self._together:
            stored = [k for k, present in enumerate(present_K.tolist()) if self._storable(channels[k], present)]
            masks = masks[stored]
        if not stored:
            return
        with self._autocast():
            ((rows,),) = self._network.memorize(picture, masks[None], chunk=self._config.object_chunk)
        self._bank.absorb(
            [channels[k] for k in stored],
            rows,
            step=self._clock if self._together else self._step,
            annotated=annotated,
            present_K=present_K if self._together and not annotated and not self._config.bank.store_empty else None,
        )
        if self._reads_nearby:
            left = Nearby(rows.key, rows.value, present_K if len(stored) == len(channels) else present_K[stored])
            of = LastFrame(tuple(channels[k] for k in stored), (picture.shape[-2], picture.shape[-1]), left)
            self._nearby = of.widened(channels).taken_over(self._nearby)

    def _network_labels(self, picture: Tensor, prediction: Prediction | None, prompt: Prompt) -> Tensor:
        """The merged labels of a prompted frame at network size."""
        size = picture.shape[-2:]
        given = shrunk_labels(self._prompt_labels(prompt), size, prompt.object_ids)
        predicted = prediction.labels_hw if prediction else torch.zeros_like(given)
        return merged_labels(predicted, given, prompt.object_ids)

    def _storable(self, channel: int, present: bool) -> bool:
        """An object that is not in the frame stores nothing; the background must have rows to be matched with."""
        if self._config.bank.store_empty or (channel == BACKGROUND and BACKGROUND not in self._bank.channels):
            return True
        return present

    def state(self) -> SegmenterState:
        """All that `restore` needs to go on with the next frame; it stays as it is when this segmenter goes on."""
        if self._submitted is not None:
            raise RuntimeError("collect() the frame that was submitted")
        return SegmenterState(
            settings=effective(self._config),
            weights=self._weights,
            step=self._step,
            planned=tuple(sorted(self._planned)),
            objects=tuple(sorted(self._objects)),
            bank=self._bank.state(),
            places=self._places.on(torch.device("cpu")) if self._places else None,
            nearby=self._nearby.on(torch.device("cpu")) if self._nearby else None,
            cuts=self._cuts.state(),
        )

    def restore(self, state: SegmenterState) -> None:
        """Continue as the segmenter that gave this `state()`.

        Raises:
            BadState: that one was of another version, configuration or other weights, each by its name.
        """
        state.check(settings=effective(self._config), weights=self._weights)
        self._captured.forget()
        self._step = state.step
        self._planned = frozenset(state.planned)
        self._objects = set(state.objects)
        self._bank.restore(state.bank, self._device)
        self._places = state.places.on(self._device) if state.places else None
        self._nearby = state.nearby.on(self._device) if state.nearby else None
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


def _named(
    places: "np.ndarray[tuple[int, ...], np.dtype[np.integer]]",
    names: "np.ndarray[tuple[int, ...], np.dtype[np.int32]]",
) -> Labels:
    """The name that stands at each place [H, W]; of names that count from 0 on, as mostly, the place itself."""
    if np.array_equal(names, np.arange(len(names))):
        return places.astype(np.int32)
    return np.take(names, places, mode="clip")  # unlike names[places] in one pass: places are those of names
