"""Where another shot begins; with the weights in the box, for untrained features look all alike."""

import functools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from model import checkpoint
from model.cuts import ShotCuts, look
from model.network import AFBURR
from model.segmenter import SegmenterConfig
from model.state import SegmenterState
from tests.model.builders import clip, follow, native, prompt, segmenter

SHOT = 24
FADE = 8


@functools.cache
def trained() -> AFBURR:
    torch.set_num_threads(1)
    return checkpoint.from_bytes(checkpoint.read_boxed("lite0-open"), "lite0-open").eval()


@functools.cache
def shot(seed: int) -> Tensor:
    """[24, 3, H, W] uint8: things that move over a texture."""
    return clip(SHOT, seed=seed)[0]


@torch.inference_mode()
def looks(frames: Tensor) -> list[NDArray[np.float32]]:
    """Of [T, 3, H, W] uint8."""
    pictures = frames.float()[:, None] / 255
    return [look(picture, trained().coarse_features(picture)).numpy() for picture in pictures]


def told(rows: Sequence[NDArray[np.float32]]) -> list[bool | None]:
    cuts = ShotCuts()
    return [cuts.add(row) for row in rows]


def marked(frames: Tensor) -> list[int]:
    return [index for index, cut in enumerate(told(looks(frames))) if cut]


def mixed(before: Tensor, after: Tensor, share: Tensor) -> Tensor:
    """`share` [T] of each frame is the shot that comes."""
    weight = share[:, None, None, None]
    return ((1 - weight) * before.float() + weight * after.float()).round().byte()


@functools.cache
def faded() -> Tensor:
    """One shot into another, over the frames 16 to 23."""
    share = torch.arange(1, FADE + 1) / (FADE + 1)
    before, after = shot(0), shot(100)
    return torch.cat([before[:16], mixed(before[16:], after[:FADE], share), after[FADE:], after[-1:], after[-1:]])


@pytest.mark.parametrize("seed", range(3))
def test_a_hard_cut_is_marked_on_the_first_frame_of_the_new_shot(seed: int) -> None:
    assert marked(torch.cat([shot(seed), shot(100 + seed)])) == [SHOT]


def test_a_shot_of_few_frames_is_one() -> None:
    assert marked(torch.cat([shot(0), shot(100)[:2], shot(1)])) == [SHOT, SHOT + 2]


def test_a_fade_is_marked_once_where_it_comes_to_rest() -> None:
    (mark,) = marked(faded())
    assert 16 + FADE - 2 <= mark <= 16 + FADE + 4


def test_through_black_the_first_picture_is_marked() -> None:
    black = torch.zeros_like(shot(0)[:5])
    assert marked(torch.cat([shot(0), black, shot(100)])) == [SHOT + 5]
    assert marked(torch.cat([shot(0)[:12], black, shot(0)[12:]])) == []


def test_other_light_is_no_cut() -> None:
    frames = shot(0).float()
    dimmer = torch.linspace(1, 0.3, SHOT)[:, None, None, None]
    assert marked((frames * dimmer).byte()) == []
    flash = frames.clone()
    flash[12] = 55 + 0.78 * flash[12]
    assert marked(flash.byte()) == []


def test_a_camera_that_turns_is_no_cut() -> None:
    """Over another picture within 16 frames."""
    wide = torch.cat([shot(0)[0], shot(1)[0], shot(2)[0]], dim=2)
    width = shot(0).shape[3]
    assert marked(torch.stack([wide[:, :, 6 * n : 6 * n + width] for n in range(30)])) == []


def test_there_is_nothing_to_compare_the_first_picture_with() -> None:
    black = torch.zeros_like(shot(0)[:2])
    assert told(looks(torch.cat([black, shot(0)[:2]]))) == [None, None, None, False]


@pytest.mark.parametrize("joined", [torch.cat([shot(0), shot(100)]), faded()], ids=["hard", "faded"])
def test_who_goes_on_anywhere_marks_the_same(joined: Tensor) -> None:
    rows = looks(joined)
    whole = told(rows)
    runner = ShotCuts()
    for index, row in enumerate(rows):
        resumed = ShotCuts()
        resumed.restore(runner.state())
        assert [resumed.add(later) for later in rows[index : index + 20]] == whole[index : index + 20]
        runner.add(row)


def test_a_look_does_not_depend_on_its_batch() -> None:
    pictures = shot(0)[:3].float() / 255
    with torch.inference_mode():
        features = trained().coarse_features(pictures)
    for picture, r4, alone in zip(pictures, features, looks(shot(0)[:3]), strict=True):
        np.testing.assert_allclose(look(picture[None], r4[None]).numpy(), alone, atol=1e-5)


class TestInTheSegmenter:
    """`shot_cut` of its results."""

    FRAMES = torch.cat([shot(0)[:4], shot(100)[:3]])
    LABELS = clip(SHOT, seed=0)[1]

    def cuts(self, config: SegmenterConfig) -> list[bool | None]:
        runner = segmenter(trained(), config)
        return [result.shot_cut for result in follow(runner, self.FRAMES, {1: prompt(self.LABELS[1])})]

    @pytest.mark.parametrize(
        "config", [native(), native(object_chunk=1), native(precision="bf16"), native(refine=False)]
    )
    def test_it_is_unknown_up_to_the_first_prompt(self, config: SegmenterConfig) -> None:
        assert self.cuts(config) == [None, None, False, False, True, False, False]

    def test_a_segmenter_that_is_restored_marks_the_same(self) -> None:
        runner = segmenter(trained())
        follow(runner, self.FRAMES[:4], {1: prompt(self.LABELS[1])})
        resumed = segmenter(trained())
        resumed.restore(SegmenterState.from_bytes(runner.state().to_bytes()))
        assert [result.shot_cut for result in follow(resumed, self.FRAMES, {}, start=4)] == [True, False, False]

    def test_a_state_of_before_is_refused(self) -> None:
        state = replace(segmenter(trained()).state(), version=1)
        with pytest.raises(Exception, match="has version 1"):
            segmenter(trained()).restore(state)
