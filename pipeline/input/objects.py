"""Objects that a manifest gives without a mask file: as COCO run lengths, as polygons, or as a box.

What can be said of one without its picture is checked here, whoever makes it: a manifest or a program. Coordinates are
pixels of the picture after its rotation, from its upper left corner.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Self

from pipeline.errors import InvalidPrompt
from pipeline.input.fields import Fields
from pipeline.input.manifest_files import KINDS, OBJECT_COLUMNS, shown
from pipeline.input.run_lengths import compressed, uncompressed

Kind = Literal["rle", "polygons", "box"]

_FARTHEST = 1_000_000
"""Pixels that a coordinate may be away: beyond any picture, and far from what overflows."""
_FEWEST_POINTS = 3


@dataclass(frozen=True, kw_only=True)
class PromptObject:
    """One object in one frame. Make it with `of_rle`, `of_polygons` or `of_box`; they raise InvalidPrompt."""

    object_id: int
    kind: Kind
    shape: str
    """JSON, as a manifest holds it: small and exact, and the same whatever the format of the manifest was."""

    @classmethod
    def of_rle(cls, object_id: int, rle: Any) -> Self:
        """`{"size": [height, width], "counts": ...}` as COCO has it, compressed text or a list of run lengths.

        No pixel at all says that the object is not in this frame.
        """
        if not isinstance(rle, Mapping) or rle.keys() != {"size", "counts"}:
            raise InvalidPrompt(f"rle is {shown(rle)}, expected {{size: [height, width], counts: ...}}")
        size, counts = rle["size"], rle["counts"]
        if not _is_list(size, 2) or not all(type(side) is int and 0 < side < _FARTHEST for side in size):
            raise InvalidPrompt(f"rle: size is {shown(size)}, expected [height, width] in pixels")
        runs = uncompressed(counts)
        if (pixels := sum(runs)) != size[0] * size[1]:
            raise InvalidPrompt(
                f"rle: its counts make {pixels} pixels, but size says {size[0] * size[1]}: give both as they were "
                "written together"
            )
        return cls._of(object_id, "rle", {"size": list(size), "counts": compressed(runs)})

    @classmethod
    def of_polygons(cls, object_id: int, polygons: Any) -> Self:
        """Flat lists x0, y0, x1, y1, ... of at least three points, which together are the object (COCO)."""
        if not _is_list(polygons) or not polygons or not all(map(_is_list, polygons)):
            raise InvalidPrompt(
                f"polygons is {shown(polygons)}, expected a list of polygons, each a flat list x0, y0, x1, y1, ..."
            )
        found = [_polygon(f"polygons[{place}]", polygon) for place, polygon in enumerate(polygons)]
        return cls._of(object_id, "polygons", found)

    @classmethod
    def of_box(cls, object_id: int, box: Any) -> Self:
        """`[x, y, width, height]`."""
        if not _is_list(box, 4):
            raise InvalidPrompt(f"box is {shown(box)}, expected [x, y, width, height]")
        x, y, width, height = _numbers("box", box)
        if width <= 0 or height <= 0:
            raise InvalidPrompt(
                f"box is {shown(box)}, with width {width} and height {height}: give x, y, width and height, not two "
                "corners"
            )
        return cls._of(object_id, "box", [x, y, width, height])

    @classmethod
    def _of(cls, object_id: int, kind: Kind, shape: Any) -> Self:
        return cls(object_id=object_id, kind=kind, shape=json.dumps(shape, separators=(",", ":")))

    @property
    def value(self) -> Any:
        """The shape as a manifest holds it."""
        return json.loads(self.shape)

    def columns(self) -> dict[str, Any]:
        """The object as a manifest holds it."""
        return {"object_id": self.object_id, self.kind: self.value}


_MAKE: Mapping[str, Callable[[int, Any], PromptObject]] = {
    "rle": PromptObject.of_rle,
    "polygons": PromptObject.of_polygons,
    "box": PromptObject.of_box,
}


def parse_objects(prompt: Fields) -> tuple[PromptObject, ...]:
    """The `objects` of a prompt, those without a fault, in their order; faults are noted."""
    found = [_parse_object(fields) for fields in prompt.objects("objects", OBJECT_COLUMNS)]
    ids = sorted(one.object_id for one in found if one is not None)
    for twice in sorted({one for one, other in pairwise(ids) if one == other}):
        prompt.fault(f"object_id {twice} stands twice in objects; give each object once, its polygons in one list")
    return tuple(one for one in found if one is not None)


def _parse_object(fields: Fields) -> PromptObject | None:
    object_id = fields.object_id("object_id")
    given = [kind for kind in KINDS if fields.has(kind)]
    if len(given) != 1:
        fields.fault(f"has {' and '.join(given)}; keep one" if given else f"has no shape; give {', '.join(KINDS)}")
        return None
    try:
        made = _MAKE[given[0]](object_id or 1, fields.value(given[0]))
    except InvalidPrompt as error:
        fields.fault(str(error))
        return None
    return made if object_id else None


def fingerprint(objects: Sequence[PromptObject]) -> str:
    """The same for the same objects in the same order, wherever they were read."""
    text = json.dumps([(one.object_id, one.kind, one.shape) for one in objects])
    return hashlib.sha256(text.encode()).hexdigest()


def _polygon(name: str, values: Sequence[Any]) -> list[int | float]:
    if len(values) % 2:
        raise InvalidPrompt(f"{name} has {len(values)} numbers, expected pairs x, y")
    if len(values) < 2 * _FEWEST_POINTS:
        points = "1 point" if len(values) == 2 else f"{len(values) // 2} points"
        raise InvalidPrompt(f"{name} has {points} and encloses nothing: give at least {_FEWEST_POINTS}, or a box")
    return _numbers(name, values)


def _numbers(name: str, values: Sequence[Any]) -> list[int | float]:
    """Whole ones as such, however they were written."""
    for value in values:
        if type(value) not in (int, float) or not math.isfinite(value) or abs(value) > _FARTHEST:
            raise InvalidPrompt(f"{name} holds {shown(value)}, expected pixels as numbers")
    return [int(value) if value == int(value) else value for value in values]


def _is_list(value: Any, length: int | None = None) -> bool:
    return isinstance(value, list | tuple) and length in (None, len(value))
