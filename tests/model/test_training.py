"""Training on short clips: what is learnt from, what is left alone, and that a resumed run is the same run.

Legend: T frames, K channels.
"""

import io
import random
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from model.clip import Clip
from model.network import AFBURR, NEARNESS, PLACE
from model.result import VOID
from model.segmenter import SegmenterConfig, VideoSegmenter
from model.slots import Rows
from model.synthetic import make_clip
from model.training import Losses, Trainer, TrainingConfig, fit
from model.uncertainty import uncertainty_loss
from tests.model.builders import copy_of, network, prompt

SIDE = 32
CONFIG = TrainingConfig(steps=100, learning_rate=1e-3, warmup_steps=1, precision="fp32")
STILL = replace(CONFIG, learning_rate=0.0)
"""Only measures."""
SLOW = replace(CONFIG, learning_rate=1e-4)


def a_clip(seed: int = 1, *, frames: int = 2, objects: int = 1, height: int = SIDE, width: int = SIDE) -> Clip:
    return make_clip(seed, num_frames=frames, height=height, width=width, num_objects=objects)


def trainer(config: TrainingConfig = CONFIG) -> Trainer:
    return Trainer(copy_of(network()), config)


def values(of: AFBURR) -> dict[str, Tensor]:
    """The weights, copied."""
    return {name: value.detach().clone() for name, value in of.state_dict().items()}


def flat(of: AFBURR) -> Tensor:
    """All weights in one row, copied."""
    return torch.cat([value.flatten() for value in values(of).values()])


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def measured(*clips: Clip, config: TrainingConfig = STILL) -> Losses:
    """Losses of the untrained network."""
    return trainer(config).step(clips)


def through_a_file(state: dict[str, object]) -> dict[str, object]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, object] = torch.load(file, weights_only=True)
    return loaded


# Learning


def test_a_few_steps_lower_the_loss_of_what_they_see() -> None:
    clips = [a_clip(seed, frames=3, objects=2) for seed in (1, 2)]
    learner = trainer()
    losses = [learner.step(clips).total for _ in range(6)]
    assert losses[-1] < 0.85 * losses[0]
    assert learner.step_number == 6


def nodes(of: Tensor) -> list[Any]:
    """All that the gradient of a tensor goes through."""
    found, waiting = set(), [of.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in found:
            found.add(node)
            waiting += [before for before, _ in node.next_functions]
    return list(found)


def test_what_only_pays_without_gradients_is_not_done_with_them() -> None:
    """A view that changes in place is copied on the way back; kernels of even size take 25 times as long."""
    clip = a_clip(frames=2)
    frames = torch.from_numpy(clip.frames).permute(0, 3, 1, 2).float() / 255
    masks = F.one_hot(torch.from_numpy(clip.labels[:1]).long(), 2).permute(0, 3, 1, 2).float()
    found = nodes(network().segment(frames[1:], network().memorize(frames[:1], masks)).logits)
    assert not [node for node in found if node.name() in ("CopySlices", "AsStridedBackward0")]
    kernels = [node._saved_weight.shape for node in found if node.name() == "ConvolutionBackward0"]
    assert len(kernels) > 20
    assert all(height % 2 and width % 2 for *_, height, width in kernels)


def test_bf16_learns_too() -> None:
    clips = [a_clip(frames=3)]
    learner = trainer(replace(CONFIG, precision="bf16"))
    losses = [learner.step(clips).total for _ in range(6)]
    assert losses[-1] < 0.95 * losses[0]
    assert {value.dtype for value in learner.network.state_dict().values()} == {torch.float32}


def test_gradients_flow_through_the_memory() -> None:
    """What an earlier frame is remembered by comes from the reference encoder, which no loss sees directly."""
    learner = trainer()
    before = values(learner.network)
    learner.step([a_clip()])
    moved = changed(before, values(learner.network))
    assert {name for name in moved if name.startswith("reference_encoder.mask_stem.")}
    assert {name for name in moved if name.startswith("key_value.key.")}


def test_without_a_learning_rate_nothing_moves() -> None:
    learner = trainer(STILL)
    before = values(learner.network)
    learner.step([a_clip()])
    assert changed(before, values(learner.network)) == set()


@pytest.mark.parametrize("blocks", [0, 3])
def test_the_first_blocks_of_the_query_trunk_stay_frozen(blocks: int) -> None:
    learner = trainer(replace(CONFIG, frozen_blocks=blocks))
    before = values(learner.network)
    for _ in range(2):
        learner.step([a_clip()])
    moved = changed(before, values(learner.network))
    parts = ("conv_stem.", *(f"blocks.{number}." for number in range(11)))
    learnt = [any(name.startswith(f"query_encoder.trunk.{part}") for name in moved) for part in parts]
    assert learnt == [blocks == 0] * (1 + 3) + [True] * 8
    assert all(any(name.startswith(f"reference_encoder.trunk.{part}") for name in moved) for part in parts)


def test_frozen_trunks_stay_and_the_rest_learns() -> None:
    learner = trainer(replace(CONFIG, frozen_trunks=True))
    before = values(learner.network)
    for _ in range(2):
        learner.step([a_clip(frames=3)])
    moved = changed(before, values(learner.network))
    assert moved == {name for name in before if name.startswith(("key_value", "decoder", NEARNESS))}
    assert {name.split(".")[0] for name in moved} == {"key_value", "decoder", NEARNESS}


def test_hints_are_learnt_from() -> None:
    learner = trainer()
    learner.step([a_clip(seed) for seed in range(3)])
    assert bool(learner.network.get_parameter(PLACE).any())


def test_weights_that_read_nothing_nearby_learn_without() -> None:
    before = copy_of(network())
    before.nearness = None
    learner = Trainer(before, CONFIG)
    learner.step([a_clip(frames=3)])
    assert not learner.averaged().reads_nearby


def test_trunks_move_more_slowly_than_the_rest() -> None:
    """Adam's first step is the learning rate, whatever the gradient."""
    learner = trainer(replace(CONFIG, weight_decay=0.0, trunk_rate=0.25))
    before = values(learner.network)
    learner.step([a_clip()])
    after = values(learner.network)
    largest = {name: float((after[name] - before[name]).abs().max()) for name in before}
    assert max(largest[name] for name in largest if ".trunk." in name) == pytest.approx(2.5e-4, rel=0.01)
    assert max(largest[name] for name in largest if ".trunk." not in name) == pytest.approx(1e-3, rel=0.01)


# Losses


def predicted(clip: Clip) -> Tensor:
    """Logits [1, K, h, w] of the second frame; void pixels of the first are no channel's."""
    frames = torch.from_numpy(clip.frames).permute(0, 3, 1, 2).float() / 255
    ids = range(1 + int(clip.labels[0][clip.labels[0] != VOID].max()))
    masks = torch.stack([torch.from_numpy(clip.labels[0] == i).float() for i in ids])
    with torch.no_grad():
        memory = network().memorize(frames[:1], masks[None])
        return network().segment(frames[1:2], memory, nearby=memory).logits


def soft_jaccard_loss(probability: Tensor, truth: Tensor) -> Tensor:
    both = (probability * truth).sum()
    return 1 - (both + 1) / ((probability + truth - probability * truth).sum() + 1)


def with_void(clip: Clip, *, rows: slice = slice(0, 12)) -> Clip:
    labels = clip.labels.copy()
    labels[:, rows] = VOID
    return Clip(frames=clip.frames, labels=labels)


@pytest.mark.parametrize("void", [False, True])
def test_losses_follow_from_the_known_pixels(void: bool) -> None:
    clip = a_clip(3, objects=2)
    clip = with_void(clip) if void else clip
    logits, truth = predicted(clip), torch.from_numpy(clip.labels[1]).long()
    known = truth != VOID
    assert bool((~known).any()) == void
    found = measured(clip)
    assert found.cross_entropy == pytest.approx(float(F.cross_entropy(logits[0][:, known].T, truth[known])), rel=1e-5)
    probability = logits[0].softmax(0)
    objects = [soft_jaccard_loss(probability[i][known], (truth == i)[known].float()) for i in (1, 2)]
    assert found.jaccard == pytest.approx(float(sum(objects) / 2), rel=1e-5)
    assert found.uncertainty == pytest.approx(float(uncertainty_loss(logits)), rel=1e-5)


def test_later_frames_are_read_from_all_earlier_ones_as_they_were_predicted() -> None:
    clip = a_clip(4, frames=4)
    frames = torch.from_numpy(clip.frames).permute(0, 3, 1, 2).float() / 255
    masks, memory, expected = torch.stack([torch.from_numpy(clip.labels[0] == i).float() for i in (0, 1)]), None, []
    with torch.no_grad():
        for t in range(3):
            (new,) = network().memorize(frames[t : t + 1], masks[None])
            memory = new if memory is None else [joined(*both) for both in zip(memory, new, strict=True)]
            logits = network().segment(frames[t + 1 : t + 2], [memory], nearby=[new]).logits
            expected.append(float(F.cross_entropy(logits, torch.from_numpy(clip.labels[t + 1])[None].long())))
            masks = logits[0].softmax(0)
    assert measured(clip).cross_entropy == pytest.approx(np.mean(expected), rel=1e-5)


def joined(older: Rows, newer: Rows) -> Rows:
    return Rows(torch.cat([older.key, newer.key], dim=1), torch.cat([older.value, newer.value], dim=1))


@pytest.mark.parametrize(("jaccard", "confidence"), [(0.5, 0.5), (0.5, 0.0), (0.0, 2.0)])
def test_the_total_is_the_weighted_sum(jaccard: float, confidence: float) -> None:
    found = measured(a_clip(), config=replace(STILL, jaccard_weight=jaccard, confidence_weight=confidence))
    expected = found.cross_entropy + jaccard * found.jaccard + confidence * found.uncertainty
    assert found.total == pytest.approx(expected, rel=1e-5)
    assert found.uncertainty > 0.1


def test_the_uncertainty_teaches_only_with_a_weight() -> None:
    """With cross entropy alone the step is that of plain autograd; with the uncertainty it is another."""
    clip = a_clip()
    plain, confident = (
        trainer(replace(CONFIG, jaccard_weight=0.0, confidence_weight=weight, clip_norm=1e9)) for weight in (0.0, 0.5)
    )
    before = values(plain.network)
    for learner in (plain, confident):
        learner.step([clip])
    assert changed(values(plain.network), values(confident.network))
    by_hand = gradient_of_cross_entropy(clip)
    moved = values(plain.network)["decoder.pred.bias"] - before["decoder.pred.bias"]
    assert torch.equal(moved.sign(), -by_hand.sign())
    assert measured(clip, config=plain.config).total == pytest.approx(measured(clip).cross_entropy, rel=1e-6)


def gradient_of_cross_entropy(clip: Clip) -> Tensor:
    """Of the last bias."""
    own = copy_of(network())
    frames = torch.from_numpy(clip.frames).permute(0, 3, 1, 2).float() / 255
    masks = torch.stack([torch.from_numpy(clip.labels[0] == i).float() for i in (0, 1)])
    logits = own.segment(frames[1:2], own.memorize(frames[:1], masks[None])).logits
    F.cross_entropy(logits, torch.from_numpy(clip.labels[1])[None].long()).backward()
    gradient = own.decoder.pred.bias
    assert gradient is not None and gradient.grad is not None
    return gradient.grad


def test_clips_of_any_size_and_number_of_objects_go_into_one_step() -> None:
    clips = [
        a_clip(1, objects=1),
        a_clip(2, objects=2, width=48),
        a_clip(3, objects=1),
        a_clip(4, objects=3, height=48),
        a_clip(5, objects=1, frames=3),
    ]
    alone = [measured(clip) for clip in clips]
    together = measured(*clips)
    for name in vars(together):
        assert getattr(together, name) == pytest.approx(np.mean([getattr(one, name) for one in alone]), rel=1e-4)


def test_the_order_of_the_clips_does_not_matter_beyond_rounding() -> None:
    clips = [a_clip(1), a_clip(2, objects=2), a_clip(3)]
    assert measured(*clips).total == pytest.approx(measured(*reversed(clips)).total, rel=1e-5)


# Several trainers


@pytest.mark.parametrize("shares", [(2, 1), (3, 0), (1, 1, 1)])
def test_trainers_that_share_the_clips_learn_as_one(shares: tuple[int, ...]) -> None:
    """Weighted by clips: a trainer with fewer has less to say, one with none only takes over.

    Slowly, and judged by what was learnt as a whole: Adam makes whole steps of what rounding does to gradients near
    zero, in single weights.
    """
    clips = [a_clip(1), a_clip(2, objects=2), a_clip(3)]
    whole = trainer(SLOW)
    start = flat(whole.network)
    alone = [whole.step(clips), whole.step(clips[::-1])]
    together = shared_steps(shares, [clips, clips[::-1]])
    expected, learnt = gradients(whole), flat(whole.network) - start
    for learner, losses in together:
        for one, other in zip(alone, losses, strict=True):
            assert vars(one) == pytest.approx(vars(other), rel=1e-5)
        assert float((gradients(learner) - expected).abs().max()) < 1e-4 * float(expected.abs().max())
        assert float((flat(learner.network) - flat(whole.network)).norm()) < 0.01 * float(learnt.norm())
        assert changed(values(together[0][0].network), values(learner.network)) == set()


def gradients(learner: Trainer) -> Tensor:
    """Of the last step, in one row."""
    found = [p.grad.flatten() for p in learner.network.parameters() if p.grad is not None]
    return torch.cat(found)


def shared_steps(shares: tuple[int, ...], steps: Sequence[Sequence[Clip]]) -> list[tuple[Trainer, list[Losses]]]:
    """Trainers in threads, and what each reported of every step; the first sums stand at a barrier for the last."""
    given: dict[int, Sequence[Tensor]] = {}
    sums: list[Tensor] = []
    barrier = threading.Barrier(len(shares), lambda: sums.__setitem__(slice(None), summed(given)))

    def work(rank: int) -> tuple[Trainer, list[Losses]]:
        def reduce(tensors: Sequence[Tensor]) -> None:
            given[rank] = tensors
            barrier.wait(timeout=60)
            for tensor, total in zip(tensors, sums, strict=True):
                tensor.copy_(total)
            barrier.wait(timeout=60)

        learner = Trainer(copy_of(network()), SLOW, reduce)
        begin = sum(shares[:rank])
        return learner, [learner.step(clips[begin : begin + shares[rank]]) for clips in steps]

    with ThreadPoolExecutor(len(shares)) as threads:
        return list(threads.map(work, range(len(shares))))


def summed(given: dict[int, Sequence[Tensor]]) -> list[Tensor]:
    return [torch.stack(alike).sum(dim=0) for alike in zip(*(given[rank] for rank in sorted(given)), strict=True)]


# The learning rate


@given(steps=st.integers(2, 5000), warmup=st.integers(0, 200), decay_from=st.floats(0, 0.95))
def test_the_rate_warms_up_stays_and_falls_to_zero(steps: int, warmup: int, decay_from: float) -> None:
    config = TrainingConfig(steps=steps, warmup_steps=warmup, decay_from=decay_from)
    rates = [config.rate_at(step) for step in range(steps)]
    assert all(0 < rate <= 1 for rate in rates)
    assert config.rate_at(steps) == 0
    begin = decay_from * steps
    plateau = [step for step in range(steps) if warmup <= step <= begin]
    assert all(rates[step] == 1 for step in plateau)
    falling = [rate for step, rate in enumerate(rates) if step >= max(begin, warmup)]
    assert falling == sorted(falling, reverse=True)


def test_the_rate_by_hand() -> None:
    config = TrainingConfig(steps=100, warmup_steps=4, decay_from=0.5)
    assert [config.rate_at(step) for step in (0, 1, 3, 4, 50)] == [0.25, 0.5, 1, 1, 1]
    assert [config.rate_at(step) for step in (75, 90, 100)] == pytest.approx([0.5, 0.2, 0])


def test_the_rate_is_what_the_step_uses() -> None:
    """Adam's first step is the learning rate: a quarter of it in a warm-up of four steps."""
    learner = trainer(replace(CONFIG, warmup_steps=4, weight_decay=0.0))
    before = values(learner.network)
    learner.step([a_clip()])
    after = values(learner.network)
    largest = max(float((after[name] - before[name]).abs().max()) for name in before)
    assert largest == pytest.approx(2.5e-4, rel=0.01)


# The running mean


def test_the_mean_of_the_first_step_is_by_hand() -> None:
    learner = trainer()
    before = values(learner.network)
    learner.step([a_clip()])
    now = values(learner.network)
    for name, mean in learner.averaged().state_dict().items():
        torch.testing.assert_close(mean, 0.1 * before[name] + 0.9 * now[name])


def test_the_mean_forgets_no_faster_than_its_decay() -> None:
    learner = trainer(replace(CONFIG, ema=0.05))
    before = values(learner.network)
    learner.step([a_clip()])
    now = values(learner.network)
    name = "decoder.pred.bias"
    torch.testing.assert_close(
        learner.averaged().state_dict()[name], 0.05 * before[name] + 0.95 * now[name], rtol=0, atol=1e-8
    )


def test_the_averaged_network_segments() -> None:
    learner = trainer()
    clip = a_clip(frames=3, objects=2)
    learner.step([clip])
    averaged = learner.averaged()
    assert not averaged.training
    assert learner.network.training
    runner = VideoSegmenter(averaged, SegmenterConfig())
    frames = torch.from_numpy(clip.frames).permute(0, 3, 1, 2)
    results = [runner.step(frame, prompt(clip.labels[0].astype(np.int32)) if t == 0 else None)
               for t, frame in enumerate(frames)]  # fmt: skip
    np.testing.assert_array_equal(results[0].labels, clip.labels[0])
    assert results[2].statistics is not None


def test_the_averaged_network_stays_as_it_is_while_the_training_goes_on() -> None:
    learner = trainer()
    learner.step([a_clip()])
    averaged = learner.averaged()
    before = values(averaged)
    learner.step([a_clip(2)])
    assert changed(before, values(averaged)) == set()
    assert changed(before, values(learner.averaged()))


# Resuming


def clips_of(_step: int, generator: random.Random) -> Sequence[Clip]:
    return [a_clip(generator.randrange(1000), objects=1 + generator.randrange(2)) for _ in range(2)]


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("at", [0, 2, 3])
def test_a_resumed_training_ends_with_the_same_weights_to_the_bit(at: int) -> None:
    config = replace(CONFIG, steps=4, warmup_steps=2)
    whole = trainer(config)
    fit(whole, clips_of)
    resumed = trainer(config)
    resumed.restore(through_a_file(stopped(config, at).state()))
    assert resumed.step_number == at
    fit(resumed, clips_of)
    assert changed(values(whole.network), values(resumed.network)) == set()
    assert changed(values(whole.averaged()), values(resumed.averaged())) == set()


def stopped(config: TrainingConfig, at: int) -> Trainer:
    """A trainer that was killed after so many steps."""
    learner = trainer(config)

    def kill(step: int, generator: random.Random) -> Sequence[Clip]:
        if step == at:
            raise Killed
        return clips_of(step, generator)

    with pytest.raises(Killed):
        fit(learner, kill)
    return learner


def test_a_restored_trainer_does_not_hang_on_the_state() -> None:
    learner = trainer()
    learner.step([a_clip()])
    state = through_a_file(learner.state())
    kept = through_a_file(state)
    resumed = trainer()
    resumed.restore(state)
    resumed.step([a_clip(2)])
    assert all(map(torch.equal, tensors(state["average"]), tensors(kept["average"])))
    assert all(map(torch.equal, tensors(state["network"]), tensors(kept["network"])))


def tensors(state: object) -> list[Tensor]:
    assert isinstance(state, dict)
    return list(state.values())


def draws(config: TrainingConfig, begin: int = 0) -> list[tuple[int, float]]:
    """(step, first random number) of every step that `fit` asks clips for."""
    learner = trainer(config)
    learner.step_number = begin
    seen: list[tuple[int, float]] = []
    clip = a_clip()

    def draw(step: int, generator: random.Random) -> Sequence[Clip]:
        seen.append((step, generator.random()))
        return [clip]

    fit(learner, draw)
    return seen


def test_a_resumed_training_draws_the_same_random_numbers() -> None:
    config = replace(CONFIG, steps=4)
    whole = draws(config)
    assert [step for step, _ in whole] == [0, 1, 2, 3]
    assert len({number for _, number in whole}) == 4
    assert draws(config, begin=2) == whole[2:]
    assert not {number for _, number in whole} & {number for _, number in draws(replace(config, seed=1))}


def test_every_step_is_reported_and_a_finished_training_does_none() -> None:
    reports: list[tuple[int, Losses]] = []
    learner = trainer(replace(CONFIG, steps=2))
    for _ in range(2):
        fit(learner, lambda _step, _generator: [a_clip()], lambda step, losses: reports.append((step, losses)))
    assert [step for step, _ in reports] == [0, 1]
    assert all(losses.total > 0 for _, losses in reports)


def test_a_frame_that_is_void_all_over_teaches_nothing_and_breaks_nothing() -> None:
    trainer = Trainer(copy_of(network()), TrainingConfig(steps=2, precision="fp32"))
    made = make_clip(0, num_frames=2, height=48, width=48, num_objects=1)
    labels = made.labels.copy()
    labels[1] = VOID
    losses = trainer.step([Clip(frames=made.frames, labels=labels)])
    assert losses.cross_entropy == 0.0
    assert all(bool(torch.isfinite(p).all()) for p in trainer.network.parameters())


@pytest.mark.parametrize("module", ["model.training", "model.segmenter"])
def test_opencv_is_not_loaded(module: str) -> None:
    """Clips come from anywhere: drawing them is no part of learning from them."""
    loaded = f"import sys, {module}; sys.exit('cv2' in sys.modules)"
    subprocess.run([sys.executable, "-c", loaded], check=True)
