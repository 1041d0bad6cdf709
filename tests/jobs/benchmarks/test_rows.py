"""Rows as a table and as JSON."""

import io
from dataclasses import dataclass
from typing import Annotated

from rich.console import Console

from jobs.benchmarks.rows import Column, Section


@dataclass(frozen=True, kw_only=True)
class Row:
    name: Annotated[str, Column("name")]
    seconds: Annotated[float | None, Column("ms", ",.1f", 1e3)]
    hidden: int = 3


SECTION = Section(
    name="s", title="A title", rows=[Row(name="a", seconds=1.25), Row(name="b", seconds=None)], note="why"
)


def shown(section: Section) -> list[str]:
    console = Console(file=io.StringIO(), width=80)
    section.show(console)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_a_table_shows_what_is_marked_as_it_is_marked() -> None:
    assert shown(SECTION) == ["A title", "name      ms", "a    1,250.0", "b", "why", ""]


def test_json_holds_the_values_as_they_are() -> None:
    assert SECTION.as_json() == {
        "title": "A title",
        "note": "why",
        "rows": [{"name": "a", "seconds": 1.25, "hidden": 3}, {"name": "b", "seconds": None, "hidden": 3}],
    }


def test_without_a_row_the_note_says_why() -> None:
    assert shown(Section(name="s", title="A title", rows=[], note="not here")) == ["A title", "not here", ""]
