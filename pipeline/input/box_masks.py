"""Masks out of boxes: what GrabCut finds in one, or an ellipse where that is no object, or the box itself.

The network makes it better from there, where there is one.

Legend: H, W size of the picture in pixels; h, w of the part that GrabCut, or the network, looks at.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import cv2
import numpy as np
import torch

from model.network import AFBURR
from model.own_memory import settled
from pipeline.input.frames import Rgb
from pipeline.input.shapes import Box, Mask

BoxMasks = Literal["network", "grabcut", "ellipse", "box"]
"""How a box becomes a mask."""

Improve = Callable[[Rgb, Mask, Mask], Mask]
"""A better mask [h, w] out of a picture [h, w, 3], a guess and what is inside the box."""

_LEAST_SHARE, _MOST_SHARE = 0.20, 0.95
"""Of a box; GrabCut that finds less, or more, has not told the object from what is around it."""
_LEAST_WHOLE = 0.8
"""Share of what it finds that must hang together."""
_SPECK = 0.05
"""Share of what it finds below which a piece of its own is left out."""
_AROUND = 0.5
"""How much of its surroundings GrabCut sees, in sides of the box, at each side."""
_LEAST_AROUND = 0.25
"""How much of them the network sees, in longer sides of the box, at least: also beside what is thin."""
_MOST_SIDE = 320
"""Pixels; what is larger is made smaller for GrabCut, whose time goes with the area."""
_LEAST_PIXELS = 64
"""Inside and outside; from fewer no colours can be learnt."""
_ROUNDS = 2
_SEED = 1
_LEAST_LIKE = 1 / 3
"""Intersection over union with its guess; an improvement that has less of it is of something else."""


class BoxMask(NamedTuple):
    """The mask of a box."""

    mask: Mask
    """[H, W], inside the box."""
    approximate: bool
    """It follows the box, not the object."""


def improved_by(network: AFBURR) -> Improve:
    """By what a network, in float32, remembers of the guess. Raises model.errors.OutOfMemory."""

    def improve(rgb: Rgb, guess_hw: Mask, inside_hw: Mask) -> Mask:
        picture = torch.from_numpy(rgb.copy()).permute(2, 0, 1)
        found = settled(network, picture, torch.from_numpy(guess_hw), torch.from_numpy(inside_hw))
        better: Mask = found.numpy() >= 0.5
        return better

    return improve


def mask_of_box(
    box: Box, size: tuple[int, int], way: BoxMasks, rgb: Rgb | None, improve: Improve | None = None
) -> BoxMask:
    """The mask of a box in a picture `rgb` [H, W, 3] of `size` [H, W]; the same for the same picture.

    Without the picture what `grabcut` would find is not known: the whole box stands for it. Of `network` it is what
    `improve` makes of that; without it, that itself.
    """
    if way != "network":
        return _guessed(box, size, way, rgb)
    guess = _guessed(box, size, "grabcut", rgb)
    if rgb is None or improve is None:
        return guess
    return guess._replace(mask=_improved(box, guess.mask, rgb, improve))


def _improved(box: Box, guess: Mask, rgb: Rgb, improve: Improve) -> Mask:
    """The guess where what was found is another thing, or nothing."""
    inside, found = np.zeros(guess.shape, bool), np.zeros(guess.shape, bool)
    inside[box.inside] = True
    view = _around(box, guess.shape, least=_LEAST_AROUND * max(box.right - box.left, box.bottom - box.top))
    found[view.inside] = improve(rgb[view.inside], guess[view.inside], inside[view.inside])
    found &= inside
    like = np.count_nonzero(found & guess) >= _LEAST_LIKE * np.count_nonzero(found | guess)
    return found if like else guess


def _guessed(box: Box, size: tuple[int, int], way: BoxMasks, rgb: Rgb | None) -> BoxMask:
    if way == "grabcut" and rgb is not None:
        if (found := _grabcut(box, rgb)) is not None:
            return BoxMask(found, approximate=False)
        way = "ellipse"
    mask = np.zeros(size, bool)
    mask[box.inside] = _ellipse(box) if way == "ellipse" else True
    return BoxMask(mask, approximate=True)


def _ellipse(box: Box) -> Mask:
    """The largest in the box, [its height, its width]."""
    y, x = (((2 * np.arange(side) + 1) / side - 1) ** 2 for side in (box.bottom - box.top, box.right - box.left))
    inside: Mask = y[:, None] + x <= 1
    return inside


def _grabcut(box: Box, rgb: Rgb) -> Mask | None:
    """What GrabCut takes for the object in the box; None where that cannot be one."""
    view = _around(box, rgb.shape[:2])
    part = rgb[view.inside]
    scale = min(1.0, _MOST_SIDE / max(part.shape[:2]))
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    small = cv2.resize(part, size, interpolation=cv2.INTER_AREA) if scale < 1 else part
    seen = np.zeros(rgb.shape[:2], np.uint8)
    seen[box.inside] = 1
    inside_hw = cv2.resize(seen[view.inside], size, interpolation=cv2.INTER_NEAREST).astype(bool)
    found_hw = _foreground(np.ascontiguousarray(small), inside_hw)
    if found_hw is None or (whole_hw := _whole(found_hw)) is None:
        return None
    if not _LEAST_SHARE <= whole_hw.sum() / inside_hw.sum() <= _MOST_SHARE:
        return None
    mask = np.zeros(rgb.shape[:2], bool)
    mask[view.inside] = _enlarged(whole_hw, part.shape[:2])
    mask &= seen.astype(bool)
    return mask


def _around(box: Box, size: tuple[int, ...], *, least: float = 8) -> Box:
    """The box with its surroundings, at least so many pixels, as far as the picture goes."""
    sides = (box.right - box.left, box.bottom - box.top)
    across, down = (max(8, round(least), round(_AROUND * side)) for side in sides)
    return Box(
        max(0, box.left - across),
        max(0, box.top - down),
        min(size[1], box.right + across),
        min(size[0], box.bottom + down),
    )


def _foreground(rgb: Rgb, inside_hw: Mask) -> Mask | None:
    """None where there is too little to learn from, or nothing to tell apart."""
    if min(np.count_nonzero(inside_hw), np.count_nonzero(~inside_hw)) < _LEAST_PIXELS:
        return None
    labels = np.where(inside_hw, cv2.GC_PR_FGD, cv2.GC_BGD).astype(np.uint8)
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(_SEED)  # it begins with random clusters of colours
    try:
        cv2.grabCut(rgb, labels, (0, 0, 0, 0), background, foreground, _ROUNDS, cv2.GC_INIT_WITH_MASK)
    except cv2.error:  # no pixel is left on one side
        return None
    found: Mask = (labels == cv2.GC_PR_FGD) | (labels == cv2.GC_FGD)
    return found


def _whole(found_hw: Mask) -> Mask | None:
    """Without specks; None for what falls into pieces, or is nothing."""
    number, pieces_hw, statistics, _ = cv2.connectedComponentsWithStats(found_hw.astype(np.uint8), connectivity=8)
    areas = statistics[1:, cv2.CC_STAT_AREA]
    if number < 2 or areas.max() < _LEAST_WHOLE * areas.sum():
        return None
    kept = np.concatenate([[False], areas >= _SPECK * areas.sum()])
    whole: Mask = kept[pieces_hw]
    return whole


def _enlarged(mask_hw: Mask, size: tuple[int, ...]) -> Mask:
    shares = cv2.resize(mask_hw.astype(np.float32), (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    enlarged: Mask = shares >= 0.5
    return enlarged
