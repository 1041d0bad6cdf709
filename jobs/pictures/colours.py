"""The colours of objects, the same in every picture."""

import colorsys

Colour = tuple[int, int, int]
"""RGB."""

PALETTE: tuple[Colour, ...] = (
    (255, 64, 64),
    (46, 145, 255),
    (255, 200, 20),
    (60, 200, 90),
    (190, 80, 255),
    (255, 130, 20),
    (20, 210, 215),
    (255, 90, 190),
    (165, 220, 40),
    (110, 95, 235),
    (190, 110, 50),
    (20, 140, 120),
)
_GOLDEN_ANGLE = 0.381966
"""Steps of this share of the hue circle never come back close to a colour used shortly before."""


def object_colour(object_id: int) -> Colour:
    """The colour of an object, the same in every picture: a palette for ids 1 to 12, then generated ones."""
    if 1 <= object_id <= len(PALETTE):
        return PALETTE[object_id - 1]
    hue = object_id * _GOLDEN_ANGLE % 1
    saturation, value = (0.85, 1.0) if object_id % 2 else (0.55, 0.85)
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)
