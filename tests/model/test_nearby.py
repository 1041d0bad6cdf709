"""What the latest frame left at each position."""

import numpy as np
import torch
from torch import Tensor

from model.nearby import Near, Nearby
from model.result import Labels, Prompt
from model.segmenter import SegmenterConfig
from model.slots import Rows
from model.state import LastFrame
from tests.model.builders import (
    HEIGHT,
    POSITIONS,
    WIDTH,
    ScriptedNetwork,
    blank,
    box,
    follow,
    logits_for,
    native,
    prompt,
    segmenter,
)

HERE, THERE = box(16, 32, 16, 40), box(32, 48, 56, 80)
BOTH = HERE + 2 * THERE
NOTHING = np.zeros((HEIGHT, WIDTH), np.int32)


def read_of(
    script: list[Tensor], prompts: dict[int, Prompt], frames: int, config: SegmenterConfig | None = None
) -> tuple[list[list[Rows | None]], ScriptedNetwork]:
    """What was nearby in each frame in which the network was asked: a part a channel."""
    asked = ScriptedNetwork(script)
    follow(segmenter(asked, config), blank(frames), prompts)
    return [near[0] if near else [] for near in asked.nearby], asked


def test_after_a_prompt_the_prompted_frame_is_read_nearby() -> None:
    (near,), asked = read_of([], {0: prompt(HERE)}, 2)
    for k, rows in enumerate(near):
        assert rows is not None
        torch.testing.assert_close(rows.key[0], asked.memorized[0].key[k])
        torch.testing.assert_close(rows.value[0], asked.memorized[0].value[k])
    assert [len(rows.key[0]) for rows in near if rows] == [POSITIONS] * 2


def test_then_the_latest_frame_whatever_the_bank_made_of_it() -> None:
    still = logits_for(HERE, [1], strength=40.0)
    seen, asked = read_of([still], {0: prompt(HERE)}, 4)
    for near, left in zip(seen, asked.memorized, strict=False):
        assert [torch.equal(rows.key[0], left.key[k]) for k, rows in enumerate(near) if rows] == [True] * 2


def test_of_a_lost_object_nothing_is_read_nearby() -> None:
    seen, _ = read_of([logits_for(NOTHING, [1], strength=40.0)], {0: prompt(HERE)}, 3)
    assert [[rows is not None for rows in near] for near in seen] == [[True, True], [True, False]]


def test_frames_that_are_not_memorized_leave_what_was_there() -> None:
    still = logits_for(HERE, [1], strength=40.0)
    seen, asked = read_of([still], {0: prompt(HERE)}, 5, native(memory_every=2))
    assert len(asked.memorized) == 3
    kept = [near[1].key[0] for near in seen if near[1]]
    assert [torch.equal(key, asked.memorized[n].key[1]) for key, n in zip(kept, (0, 0, 1, 1), strict=True)] == [
        True
    ] * 4


def test_who_joins_is_read_from_its_prompt_on() -> None:
    still = logits_for(HERE, [1], strength=40.0)
    seen, _ = read_of([still, logits_for(BOTH, [1, 2], strength=40.0)], {0: prompt(HERE), 1: prompt(2 * THERE)}, 3)
    assert [[rows is not None for rows in near] for near in seen] == [[True] * 2, [True] * 3]


def test_another_picture_size_has_nothing_nearby() -> None:
    asked = ScriptedNetwork()
    runner = segmenter(asked)
    runner.step(blank(1)[0], prompt(HERE))
    runner.step(blank(1, (48, 64))[0])
    assert asked.nearby == [None]


def some(channels: int) -> Nearby:
    generator = torch.Generator().manual_seed(0)
    rows = (torch.rand(channels, 6, width, generator=generator) for width in (4, 5))
    key, value = rows
    return Nearby(key, value, torch.ones(channels, dtype=torch.bool))


def test_selected_channels_keep_their_rows_and_new_ones_have_none() -> None:
    last = LastFrame((0, 3, 7), (32, 48), some(3))
    found = last.of((0, 5, 7))
    assert found.known_N.tolist() == [True, False, True]
    assert torch.equal(found.key_NPC[[0, 2]], last.seen.key_NPC[[0, 2]])
    assert [found.rows(slice(k, k + 1), masked=False) is None for k in range(3)] == [False, True, False]
    together = found.rows(slice(0, 3), masked=True)
    assert together is not None
    assert together.empty is not None
    assert together.empty.all(dim=1).tolist() == [False, True, False]
    assert together.empty.any(dim=1).tolist() == [False, True, False]


def test_the_bias_falls_with_the_distance_alike_in_all_directions() -> None:
    left = some(1)
    bias = Near(Rows(left.key_NPC, left.value_NPV), (2, 3), torch.tensor([4.0])).bias_of(0, 6)
    assert torch.equal(bias, bias.T)
    assert torch.equal(bias[0, 1:2], bias[0, 3:4])  # one to the right, one below
    assert bias[0, 0] > bias[0, 1] > bias[0, 4] > bias[0, 2] > bias[0, 5]
    torch.testing.assert_close(bias.diagonal().exp() + 1, torch.full((6,), 4.0).exp())


def labels_of(near: bool) -> Labels:
    asked = ScriptedNetwork()
    if not near:
        asked.nearness = None
    frames = torch.cat([blank(1), blank(1)])
    return follow(segmenter(asked), frames, {0: prompt(BOTH)})[1].labels


def test_it_has_a_say() -> None:
    assert (labels_of(near=True) != labels_of(near=False)).any()
