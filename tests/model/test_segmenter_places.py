"""What the network is told of where things were."""

import numpy as np
import torch
from torch import Tensor

from model.place import hint, seen
from model.result import Labels, Prompt
from model.segmenter import SegmenterConfig
from tests.model.builders import (
    HEIGHT,
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


def hints(
    script: list[Tensor], prompts: dict[int, Prompt], frames: int, config: SegmenterConfig | None = None
) -> list[Tensor]:
    """What the network was told in each frame in which it was asked."""
    asked = ScriptedNetwork(script)
    follow(segmenter(asked, config), blank(frames), prompts)
    given = [told for told in asked.hints if told is not None]
    assert len(given) == len(asked.hints)
    return [told[0] for told in given]


def of(*labels: Labels, objects: int = 1) -> Tensor:
    """The hint after frames with these labels, as if they were given."""
    place = None
    for one in labels:
        masks = torch.stack([torch.from_numpy(one == k).float() for k in range(objects + 1)])
        place = seen(masks, place)
    assert place is not None
    return hint(place)


def test_after_a_prompt_the_network_is_told_where_the_object_is() -> None:
    (told,) = hints([], {0: prompt(HERE)}, 2)
    torch.testing.assert_close(told, of(HERE))


def test_then_it_is_told_what_it_found() -> None:
    moved = box(24, 40, 24, 48)
    said = logits_for(moved, [1], strength=40.0)
    _, told = hints([said], {0: prompt(HERE)}, 3)
    torch.testing.assert_close(told, of(HERE, moved), atol=1e-4, rtol=1e-4)


def test_of_a_lost_object_it_is_told_nothing() -> None:
    _, told = hints([logits_for(NOTHING, [1], strength=40.0)], {0: prompt(HERE)}, 3)
    assert not bool(told[1].any())
    assert bool(told[0].any())  # of the background


def test_who_joins_has_a_hint_and_the_others_keep_theirs() -> None:
    still = logits_for(HERE, [1], strength=40.0)
    both = logits_for(BOTH, [1, 2], strength=40.0)
    told = hints([still, both], {0: prompt(HERE), 1: prompt(2 * THERE)}, 4)
    assert [len(one) for one in told] == [2, 3, 3]
    torch.testing.assert_close(told[1], of(BOTH, objects=2), atol=1e-4, rtol=1e-4)


def test_a_correction_is_no_movement() -> None:
    (_, told) = hints([logits_for(THERE, [1], strength=40.0)], {0: prompt(HERE), 1: prompt(HERE)}, 3)
    torch.testing.assert_close(told, of(HERE))


def test_the_hint_is_of_the_last_frame_also_where_that_is_not_memorized() -> None:
    moved = box(24, 40, 24, 48)
    script = [logits_for(HERE, [1], strength=40.0), logits_for(moved, [1], strength=40.0)]
    told = hints(script, {0: prompt(HERE)}, 4, native(memory_every=10))
    torch.testing.assert_close(told[2], of(HERE, moved), atol=1e-4, rtol=1e-4)


def test_a_frame_of_another_size_begins_without_a_hint() -> None:
    asked = ScriptedNetwork()
    runner = segmenter(asked)
    runner.step(blank(1)[0], prompt(HERE))
    runner.step(blank(1, (64, 64))[0])
    assert asked.hints == [None]
