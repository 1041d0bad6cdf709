"""What the model's tests share: an untrained network, clips with masks, and a network that can be told what to see."""

import copy
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from model.network import AFBURR, Segmentation, untrained
from model.result import FrameResult, Labels, Prompt
from model.segmenter import SegmenterConfig, VideoSegmenter
from model.slots import Rows
from model.state import ChannelState
from model.synthetic import make_clip

HEIGHT, WIDTH = 64, 96
POSITIONS = (HEIGHT // 16) * (WIDTH // 16)


@cache
def network(preset: str = "lite0") -> AFBURR:
    """An untrained network that all tests share: never change it, take a `copy_of` it."""
    torch.set_num_threads(1)
    with torch.inference_mode(False):  # whoever calls first, others want gradients
        return untrained(preset)


def copy_of(shared: AFBURR) -> AFBURR:
    """A network of one's own."""
    return copy.deepcopy(shared)


class ScriptedNetwork(AFBURR):
    """The untrained lite0 network, which keeps what it was asked and answered.

    With `script`, its n-th answer is the n-th entry (the last one again and again): logits [K, h, w].
    """

    def __init__(self, script: Sequence[Tensor] = ()) -> None:
        super().__init__()
        self.load_state_dict(network().state_dict())
        self.script = script
        self.answers: list[Tensor] = []
        self.masks: list[Tensor] = []
        self.hints: list[Tensor | None] = []
        self.nearby: list[list[list[Rows | None]] | None] = []
        self.memorized: list[Rows] = []

    def segment(self, picture_B3HW: Tensor, memory: Sequence[Sequence[Rows]], **options: Any) -> Segmentation:
        self.hints.append(options.get("hint_BKCyx"))
        self.nearby.append(copy.deepcopy(options.get("nearby")))  # what was kept is written over
        found = super().segment(picture_B3HW, memory, **options)
        if self.script:
            said = self.script[min(len(self.answers), len(self.script) - 1)]
            assert said.shape == found.logits.shape[1:]
            found = found._replace(logits=said[None].clone())
        self.answers.append(found.logits[0])
        return found

    def memorize(self, picture_B3HW: Tensor, masks_BKHW: Tensor, *, chunk: int | None = None) -> list[list[Rows]]:
        self.masks.append(masks_BKHW[0].clone())
        found = super().memorize(picture_B3HW, masks_BKHW, chunk=chunk)
        self.memorized.append(copy.deepcopy(found[0][0]))
        return found


def logits_for(labels: Labels, ids: Sequence[int], strength: float = 6.0) -> Tensor:
    """Logits [1 + objects, H, W] that say `labels`; `ids` ascending, without the background."""
    channels = torch.tensor([0, *ids])[:, None, None]
    return strength * (torch.from_numpy(labels)[None] == channels).float()


def clip(
    num_frames: int = 4, num_objects: int = 2, *, height: int = HEIGHT, width: int = WIDTH, seed: int = 1
) -> tuple[Tensor, Labels]:
    """Frames [T, 3, H, W] uint8 and labels [T, H, W]: 0, 1 .. objects."""
    made = make_clip(seed, num_frames=num_frames, height=height, width=width, num_objects=num_objects)
    return torch.from_numpy(made.frames).permute(0, 3, 1, 2).contiguous(), made.labels.astype(np.int32)


def pictures(frames: Tensor) -> Tensor:
    """uint8 frames as the network takes them: [T, 3, H, W] in [0, 1]."""
    return frames.float() / 255


def box(top: int, bottom: int, left: int, right: int, object_id: int = 1, size: tuple[int, int] = (64, 96)) -> Labels:
    """Labels with one box of an object."""
    labels = np.zeros(size, np.int32)
    labels[top:bottom, left:right] = object_id
    return labels


def prompt(labels: Labels, *object_ids: int) -> Prompt:
    """A prompt that speaks for `object_ids` (default: the ids in the mask)."""
    found = (int(i) for i in np.unique(labels) if i not in (0, 255))
    return Prompt(labels=labels, object_ids=object_ids or tuple(found))


def native(**given: Any) -> SegmenterConfig:
    """Small pictures are not enlarged: sizes and positions are easy to count."""
    return SegmenterConfig(min_side=0, **given)


def segmenter(
    used: AFBURR | None = None, config: SegmenterConfig | None = None, *, object_ids: Sequence[int] = ()
) -> VideoSegmenter:
    """A segmenter of the shared network."""
    return VideoSegmenter(used or network(), config or native(), object_ids=object_ids)


def follow(runner: VideoSegmenter, frames: Tensor, prompts: Mapping[int, Prompt], start: int = 0) -> list[FrameResult]:
    """Step through the frames from `start`, with probabilities."""
    return [
        runner.step(frame, prompts.get(number), keep_probabilities=True)
        for number, frame in enumerate(frames[start:], start)
    ]


def assert_same(first: FrameResult, second: FrameResult) -> None:
    """Equal in every bit."""
    np.testing.assert_array_equal(first.labels, second.labels)
    assert (first.probabilities is None) == (second.probabilities is None)
    if first.probabilities is not None and second.probabilities is not None:
        np.testing.assert_array_equal(first.probabilities, second.probabilities)
    assert (first.objects, first.statistics, first.bank) == (second.objects, second.statistics, second.bank)
    assert (first.prompted, first.shot_cut) == (second.prompted, second.shot_cut)


def relabelled(labels: Labels, ids: tuple[int, ...]) -> Labels:
    """Objects 1, 2, .. under other ids."""
    return np.array([0, *ids], np.int32)[labels]


def blank(num_frames: int = 3, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Tensor:
    """Frames [T, 3, H, W] uint8 of noise, for tests that script what is seen in them."""
    return torch.randint(0, 256, (num_frames, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(5))


def object_ids(result: FrameResult) -> list[int]:
    """Of a frame's objects, in their order."""
    return [thing.object_id for thing in result.objects]


def wavy_logits(channels: int, size: tuple[int, int] = (HEIGHT, WIDTH), seed: int = 0) -> Tensor:
    """Smooth scores [K, h, w] with sure and unsure regions."""
    coarse = torch.randn(1, channels, 5, 7, generator=torch.Generator().manual_seed(seed))
    return 5 * F.interpolate(coarse, size, mode="bicubic", align_corners=False)[0]


def rows_of(runner: VideoSegmenter) -> dict[int, ChannelState]:
    """What the bank holds, by channel: 0 is the background."""
    return dict(runner.state().bank.channels)
