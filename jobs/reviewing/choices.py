"""Ways to choose the frames that are corrected: those a review is measured against, which know nothing of the masks.

A choice holds by video the frames; candidates are all frames that could be corrected.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

Choice = Mapping[str, frozenset[int]]
"""By video the chosen frames."""
Candidates = Mapping[str, Sequence[int]]
"""By video the frames that may be chosen, ascending."""


class Way(StrEnum):
    """How frames are chosen."""

    QUEUE = "queue"
    ORACLE = "oracle"
    """The queue, if it knew what every mask is worth: what a better expectation could gain at most."""
    UNIFORM = "uniform"
    RANDOM = "random"


def uniform(candidates: Candidates, number: int) -> Choice:
    """Equally spaced over the frames of all videos, one video behind the other: long ones get more."""
    every = _all(candidates)
    number = min(number, len(every))
    return by_video(every[(2 * step + 1) * len(every) // (2 * number)] for step in range(number))


def at_random(candidates: Candidates, number: int, seed: int) -> Choice:
    """Drawn without repeats; the first of more are the same."""
    every = _all(candidates)
    random.Random(seed).shuffle(every)
    return by_video(every[:number])


def joined(first: Choice, second: Choice) -> Choice:
    """What is in one of them."""
    return {name: first.get(name, frozenset()) | second.get(name, frozenset()) for name in {*first, *second}}


def count(choice: Choice) -> int:
    """Frames of all videos."""
    return sum(map(len, choice.values()))


def _all(candidates: Candidates) -> list[tuple[str, int]]:
    return [(name, frame) for name in sorted(candidates) for frame in candidates[name]]


def by_video(frames: Iterable[tuple[str, int]]) -> Choice:
    """Pairs of video and frame as a choice."""
    found: dict[str, set[int]] = defaultdict(set)
    for name, frame in frames:
        found[name].add(frame)
    return {name: frozenset(chosen) for name, chosen in found.items()}
