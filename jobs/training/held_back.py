"""Clips of the stills that training holds back: what a checkpoint scores on them it has not learnt."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum

from jobs.training.compose import Composition
from jobs.training.sources import MovedStills
from jobs.training.stills import Still, read_stills, usable


class Kind(StrEnum):
    """What is hard about the clips."""

    SEVERAL = "several"
    """Objects of a scene and more beside them, every second the double of one that is there already."""
    SMALL = "small"
    """Many small copies of one object: 2 to 8 % of the picture's side."""
    THIN = "thin"
    """Strips of objects."""
    RETURNS = "returns"
    """Objects that leave the picture and come back."""


OBJECTS: Mapping[Kind, tuple[int, int]] = {
    Kind.SEVERAL: (2, 4),
    Kind.SMALL: (6, 12),
    Kind.THIN: (1, 3),
    Kind.RETURNS: (1, 3),
}
"""Objects a clip, least and most, where nobody asks for others."""

_KINDS: Mapping[Kind, Callable[[Composition], Composition]] = {
    Kind.SEVERAL: lambda plain: plain,
    Kind.SMALL: lambda plain: replace(
        plain,
        herds=1.0,
        herd=(plain.min_objects, plain.max_objects),
        pastes=0.0,
        scene_objects=False,
        least_pixels=8,
    ),
    Kind.THIN: lambda plain: replace(plain, thin=1.0, pastes=4.0, scene_objects=False),
    Kind.RETURNS: lambda plain: replace(plain, leaving=1.0, pastes=3.0, scene_objects=False),
}


def held_back_composition(
    stills: Sequence[str], *, frames: int, side: int, objects: tuple[int, int], kind: Kind = Kind.SEVERAL
) -> Composition:
    """Slow clips of the held-back stills of some folders. Raises InvalidInput where there is none."""
    pictures = usable([still for folder in stills for still in read_stills(folder, held_back=True)])
    return measuring(pictures, frames=frames, side=side, objects=objects, kind=kind)


def measuring(
    pictures: Sequence[Still], *, frames: int, side: int, objects: tuple[int, int], kind: Kind = Kind.SEVERAL
) -> Composition:
    """Slow clips of usable stills."""
    plain = Composition(
        sources=[MovedStills(pictures)],
        shares=[1.0],
        cutouts=pictures,
        frames=frames,
        side=side,
        min_objects=objects[0],
        max_objects=objects[1],
        pastes=2.0,
        lookalikes=0.5,
        newcomers=0.0,
        generated=0.0,
        speed=0.4,
    )
    return _KINDS[kind](plain)
