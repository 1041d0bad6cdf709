"""What of a given mask is to be doubted."""

import numpy as np
import pytest

from jobs.datasets.doubts import Doubt, doubts_of
from pipeline.input.prompts import FramePrompt

SIZE = (100, 160)


def doubts(
    top: int, left: int, bottom: int, right: int, *, size: tuple[int, int] = SIZE, **about: object
) -> list[Doubt]:
    labels = np.zeros(SIZE, np.int32)
    labels[top:bottom, left:right] = 4
    return doubts_of(FramePrompt(labels=labels, object_ids=(4,), **about), size)[4]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((20, 20, 40, 40), []),
        ((20, 20, 20, 20), [Doubt.EMPTY]),
        ((20, 20, 35, 35), [Doubt.TINY]),
        ((0, 20, 40, 40), [Doubt.BORDER]),
        ((60, 20, 100, 40), [Doubt.BORDER]),
        ((20, 0, 40, 40), [Doubt.BORDER]),
        ((20, 120, 40, 160), [Doubt.BORDER]),
        ((0, 0, 100, 150), [Doubt.FILLS, Doubt.BORDER]),
    ],
)
def test_each_doubt_is_seen(box: tuple[int, int, int, int], expected: list[Doubt]) -> None:
    assert doubts(*box) == expected


def test_what_the_network_sees_decides_what_is_small() -> None:
    assert doubts(20, 20, 40, 40, size=(50, 80)) == [Doubt.TINY]
    assert doubts(20, 20, 35, 35, size=(200, 320)) == []
    assert doubts(21, 21, 22, 22, size=(10, 16)) == [Doubt.LOST]


def test_masks_of_boxes_are_doubted_by_object() -> None:
    assert doubts(20, 20, 40, 40, approximate=frozenset({4})) == [Doubt.APPROXIMATE]
    assert doubts(20, 20, 40, 40, approximate=frozenset({5})) == []


def test_doubts_come_the_worst_first() -> None:
    assert doubts(0, 20, 10, 30, approximate=frozenset({4})) == [Doubt.APPROXIMATE, Doubt.TINY, Doubt.BORDER]
