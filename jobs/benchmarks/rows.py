"""A section of a benchmark as rows of plain values: once as a table for people, once as JSON.

What a column is called and how its values look stands at the field it shows; JSON holds the values as they are.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, get_type_hints

from rich.console import Console
from rich.table import Table

Row = Any
"""A frozen dataclass whose shown fields are annotated with a `Column`."""


class Column(NamedTuple):
    """How the values of a field are shown; None is shown as nothing."""

    heading: str
    form: str = ""
    """As of `format`."""
    scale: float = 1
    """What a value is multiplied by before."""

    def text(self, value: Any) -> str:
        if value is None:
            return ""
        return format(value if self.scale == 1 else self.scale * value, self.form)


def columns(kind: type) -> dict[str, Column]:
    """By field of a kind of row, in their order."""
    hints = get_type_hints(kind, include_extras=True)
    marks = {name: getattr(hint, "__metadata__", ()) for name, hint in hints.items()}
    return {name: mark[0] for name, mark in marks.items() if mark}


@dataclass(frozen=True, kw_only=True)
class Section:
    """What one part of a benchmark found."""

    name: str
    title: str
    rows: Sequence[Row]
    """Alike; without one `note` says why."""
    note: str = ""
    """How to read it."""

    def as_json(self) -> dict[str, object]:
        return {"title": self.title, "note": self.note, "rows": [asdict(row) for row in self.rows]}

    def show(self, console: Console) -> None:
        """Title, table, note."""
        console.print(self.title)
        if self.rows:
            console.print(self._table())
        if self.note:
            console.print(self.note)
        console.print()

    def _table(self) -> Table:
        table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
        shown = columns(type(self.rows[0]))
        for number, column in enumerate(shown.values()):
            table.add_column(column.heading, justify="right" if number else "left", no_wrap=True)
        for row in self.rows:
            table.add_row(*(column.text(getattr(row, name)) for name, column in shown.items()))
        return table
