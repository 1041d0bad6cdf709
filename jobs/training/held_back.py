"""Clips of the stills that training holds back: what a checkpoint scores on them it has not learnt."""

from jobs.training.compose import Composition
from jobs.training.sources import MovedStills
from jobs.training.stills import read_stills, usable


def held_back_composition(stills: list[str], *, frames: int, side: int, objects: tuple[int, int]) -> Composition:
    """Slow clips of held-back stills: every second cut-out is the double of an object that is there already."""
    pictures = usable([still for folder in stills for still in read_stills(folder, held_back=True)])
    return Composition(
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
