"""What is shown of ids, paths and messages: a terminal would obey escapes in them, and newlines would forge lines.

Whoever wrote a manifest, or named a file, need not be who looks at the terminal. Tables and JSON keep the exact text.
"""

import logging
from typing import Any

from rich.console import Console
from rich.text import Text


def printable(text: str) -> str:
    """The text as one line; control characters, newlines, marks of direction and the like are spelled as `\\x1b`."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _spelled(char) for char in text)


def _spelled(char: str) -> str:
    return char.encode("unicode_escape").decode()


def paragraph(text: str) -> str:
    """A message of several lines: those after the first are indented, so that none looks like a line of its own."""
    first, *others = text.split("\n")
    return "\n".join([printable(first), *(f"  {printable(line.removeprefix('  '))}" for line in others)])


def cell(text: str) -> Text:
    """A text in a table: no markup, though it may hold brackets, and never cut off."""
    return Text(printable(text), overflow="fold")


class OneLiner(Console):
    """A console to which every string that is printed is one line."""

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*map(_line, objects), **options)


def _line(value: Any) -> Any:
    return printable(value) if isinstance(value, str) else value


class PrintableFormatter(logging.Formatter):
    """Log records as paragraphs."""

    def format(self, record: logging.LogRecord) -> str:
        return paragraph(super().format(record))
