"""A JSON object read field by field: what is wrong with one is noted, not raised, so that all faults are found."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from model.result import VOID
from pipeline.errors import InvalidInput
from pipeline.input.manifest_files import shown
from pipeline.input.origin import Origin

MOST = 2**31 - 1
"""The largest whole number of a field."""
MOST_ID = 2**16 - 1


class Fault(NamedTuple):
    """What is wrong with a row."""

    row: int
    """0: with the file's columns."""
    text: str

    def __str__(self) -> str:
        return f"row {self.row}: {self.text}" if self.row else self.text


def unknown_column(name: str, columns: Sequence[str]) -> str:
    """What is wrong with a name that is none of the `columns`, and which was probably meant."""
    near = get_close_matches(name, columns, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"the columns are {', '.join(columns)}"
    return f"unknown column {name!r}; {hint}"


class Fields:
    """One JSON object: typed reads that note a fault instead of raising, so that all faults are found."""

    def __init__(
        self, row: int, values: dict[str, Any], columns: Sequence[str], faults: list[Fault], where: str = ""
    ) -> None:
        """`columns`: the names that may occur; `where`: before the text of every fault."""
        self._row, self._values, self._faults, self._where = row, values, faults, where
        for name in (name for name in values if name not in columns):
            self.fault(unknown_column(name, columns))

    def fault(self, text: str) -> None:
        """Note a fault of this row."""
        self._faults.append(Fault(self._row, self._where + text))

    def has(self, name: str) -> bool:
        """Whether it is there and not null."""
        return self._values.get(name) is not None

    def value(self, name: str) -> Any:
        """What it holds, whatever that is; None if absent."""
        return self._values.get(name)

    def text(self, name: str) -> str:
        """What must be there, not blank; '' with a fault."""
        value = self._values.get(name)
        if value is None:
            self.fault(f"{name} is missing")
        elif not isinstance(value, str):
            self._wrong(name, "text")
        elif not value.strip():
            self.fault(f"{name} is empty")
        elif not _is_unicode(value):
            self._wrong(name, "valid Unicode")
        else:
            return value
        return ""

    def uri(self, name: str, origin: Origin) -> str:
        """The absolute URL of what `origin` may name. '' with a fault."""
        value = self.text(name)
        try:
            return origin.resolve(value) if value else ""
        except InvalidInput as error:
            self.fault(f"{name}: {error}")
            return ""

    def integer(self, name: str, least: int) -> int | None:
        """From `least` to MOST; None if absent or with a fault."""
        value = self._values.get(name)
        if value is None or _is_integer(value, least, MOST):
            return value
        self._wrong(name, f"a whole number from {least} to {MOST}")
        return None

    def mapping(self, name: str) -> dict[str, Any]:
        """A JSON object; an empty one if absent or with a fault."""
        value = self._values.get(name)
        if value is not None and not isinstance(value, dict):
            self._wrong(name, "a JSON object")
            return {}
        return value or {}

    def objects(self, name: str, columns: Sequence[str]) -> list["Fields"]:
        """At least one JSON object, each with its own `columns`; [] with a fault."""
        value = self._values.get(name)
        if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
            self._wrong(name, "a list of at least one JSON object")
            return []
        return [
            Fields(self._row, item, columns, self._faults, f"{self._where}{name}[{position}]: ")
            for position, item in enumerate(value)
        ]

    def object_id(self, name: str) -> int | None:
        """What must be there: an id of an object; None with a fault."""
        value: Any = self._values.get(name)
        if is_object_id(value):
            return int(value)
        self._wrong(name, f"an object id from 1 to {MOST_ID} ({VOID} is void)")
        return None

    def object_ids(self, name: str) -> tuple[int, ...] | None:
        """Different ids of objects, ascending; None if absent or with a fault."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not value or not all(map(is_object_id, value)):
            self._wrong(name, f"a list of object ids from 1 to {MOST_ID} ({VOID} is void)")
            return None
        if len(set(value)) < len(value):
            self.fault(f"{name} is {value}, where an id stands twice")
        return tuple(sorted(value))

    def _wrong(self, name: str, expected: str) -> None:
        self.fault(f"{name} is {shown(self._values.get(name))}, expected {expected}")


def _is_unicode(text: str) -> bool:
    """Whether it can be stored: JSON's \\ud800 reads as half a character."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _is_integer(value: Any, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def is_object_id(value: Any) -> bool:
    """Whether it is a whole number that can stand for an object: neither background nor void, and of 16 bits."""
    return _is_integer(value, 1, MOST_ID) and value != VOID
