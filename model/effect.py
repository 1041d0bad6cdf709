"""Which fields of a configuration can change a mask: the fields say it themselves.

    workspace: int = field(default=1 << 20, metadata=NO_EFFECT)      how it is computed, not what comes out
    sharper: float = field(default=0.0, metadata=omit_at(0.0))       added later: at 0 all is as it was before

What names a result, and what a stored state was made with, are the values that `effective` gives.
"""

from collections.abc import Mapping
from dataclasses import Field, fields, is_dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

NO_EFFECT: Mapping[str, object] = {"effect": False}
"""Metadata of a field that changes no mask, whatever its value."""


def omit_at(value: object) -> Mapping[str, object]:
    """Metadata of a field at whose `value` masks are those of the time before the field was there."""
    return {"omit_at": value}


def effective(config: "DataclassInstance") -> dict[str, object]:
    """Plain values, nested, of the fields that can change a mask; a field at the value to omit is left out."""
    return {found.name: _plain(getattr(config, found.name)) for found in fields(config) if _has_effect(config, found)}


def _plain(value: object) -> object:
    return effective(value) if is_dataclass(value) and not isinstance(value, type) else value


def _has_effect(config: "DataclassInstance", found: "Field[Any]") -> bool:
    marks = found.metadata
    omitted = "omit_at" in marks and getattr(config, found.name) == marks["omit_at"]
    return bool(marks.get("effect", True)) and not omitted
