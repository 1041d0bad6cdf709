"""What happens to an object from one frame to the next, told by its areas alone."""

from collections.abc import Mapping
from typing import Literal

Event = Literal["lost", "found", "jump", "fills"]

JUMP = 3
"""Times that an area grows or shrinks."""
FILLS = 0.9
"""Share of the picture."""


def event(before: int | None, area: int, picture: int) -> Event | None:
    """What `masks.event` says of an object-frame; where several hold, the first of these.

    fills: over 90 % of the picture. lost: no pixel, and there were some in the frame before. found: pixels, and there
    were none. jump: three times as large as in the frame before or larger, a third as large or smaller.

    Args:
        before: its pixels in the frame before; None: this is its first frame.
        area: its pixels.
        picture: pixels of the frame.
    """
    if area > FILLS * picture:
        return "fills"
    if before is None:
        return None
    if not (before and area):
        return "lost" if before else "found" if area else None
    return "jump" if max(before, area) >= JUMP * min(before, area) else None


class Events:
    """The events of one video's objects, frame by frame."""

    def __init__(self, before: Mapping[int, int] | None = None) -> None:
        """`before`: pixels by object in the frame before, for who begins in the middle of a video."""
        self._areas = dict(before or {})

    def of(self, object_id: int, area: int, picture: int) -> Event | None:
        """The object's event in the frame that follows; arguments as of `event`."""
        before = self._areas.get(object_id)
        self._areas[object_id] = area
        return event(before, area, picture)
