"""One static page of many cards in sections, put together from files: no part of it is in memory for long."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from types import TracebackType
from typing import BinaryIO, Self

from jobs.datasets.doubts import ORDER, Doubt
from jobs.pictures.colours import Colour
from pipeline.scratch import Scratch
from pipeline.storage.store import Store

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>First masks</title>
<style>
body { font: 14px/1.4 system-ui, sans-serif; margin: 1.5rem; background: #f4f5f7; color: #16181c }
h2 { margin: 2rem 0 .5rem; font-size: 1.1rem }
section { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem }
figure { margin: 0; background: #fff; border: 1px solid #d6d9de; border-radius: 6px; overflow: hidden }
img { width: 100%; display: block; background: #16181c }
figcaption { padding: .5rem .75rem; overflow-wrap: anywhere }
b { display: block }
i { display: inline-block; width: .8em; height: .8em; margin-right: .4em; border-radius: 2px }
p { margin: 0 }
.doubt { color: #b3261e }
</style>
</head>
<body>
<h1>First masks</h1>
<p>Every object's first mask on its frame; thin boxes are those that were given. What deserves a look comes first.</p>
"""
_REST = "nothing to doubt"


@dataclass(frozen=True, kw_only=True)
class Card:
    """A picture with what there is to say about it, or only that."""

    title: str
    lines: Sequence[str]
    picture: str | None = None
    """Its name beside the page."""
    objects: Sequence[tuple[int, Colour, Sequence[str]]] = ()
    """Id, colour and doubts of each."""
    worst: Doubt | None = None
    row: int = 0
    """Of the manifest."""


class Page:
    """Takes cards in any order of their sections; a context manager that removes its files."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._scratch = Scratch()
        self._sections: dict[Doubt | None, BinaryIO] = {}
        self._cards: dict[Doubt | None, int] = {}

    def add(self, section: Doubt | None, card: Card) -> None:
        """Write a card behind those of its section; None: the last one."""
        if section not in self._sections:
            self._sections[section] = (self._scratch.folder / f"section{len(self._sections)}").open("w+b")
        self._sections[section].write(_html(card).encode())
        self._cards[section] = self._cards.get(section, 0) + 1

    def finish(self, name: str) -> None:
        """Put the page into the store."""
        path = self._scratch.folder / "page.html"
        with path.open("wb") as page:
            page.write(_HEAD.encode())
            for section in (*ORDER, None):
                if section in self._sections:
                    page.write(f"<h2>{escape(section or _REST)} ({self._cards[section]:,})</h2>\n<section>\n".encode())
                    self._sections[section].seek(0)
                    shutil.copyfileobj(self._sections[section], page)
                    page.write(b"</section>\n")
            page.write(b"</body>\n</html>\n")
        self._store.put_file(name, path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._sections.values():
            file.close()
        self._scratch.remove()


def _html(card: Card) -> str:
    """Whatever an id or message holds is text: `bdi` keeps its direction to itself."""
    picture = f'<img loading="lazy" alt="" src="{escape(card.picture)}">' if card.picture else ""
    row = f" (row {card.row})" if card.row else ""
    objects = "".join(
        f'<p><i style="background: rgb{colour}"></i>object {object_id}'
        + (f': <span class="doubt">{escape("; ".join(doubts))}</span>' if doubts else "")
        + "</p>"
        for object_id, colour, doubts in card.objects
    )
    lines = "".join(f'<p class="doubt"><bdi>{escape(line)}</bdi></p>' for line in card.lines)
    title = f"<b><bdi>{escape(card.title)}</bdi>{row}</b>"
    return f"<figure>{picture}<figcaption>{title}{objects}{lines}</figcaption></figure>\n"
