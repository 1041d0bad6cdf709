"""The page: sections in their order, everything that a manifest says as text."""

import re
import uuid
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from jobs.datasets.doubts import Doubt
from jobs.datasets.page import Card, Page
from pipeline.storage.store import Store


def page(*cards: tuple[Doubt | None, Card]) -> str:
    store = Store(f"memory://{uuid.uuid4().hex}")
    with Page(store) as made:
        for section, card in cards:
            made.add(section, card)
        made.finish("index.html")
    return store.get("index.html").decode()


class Read(HTMLParser):
    """Tags and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_sections_come_the_worst_first_with_their_counts() -> None:
    cards = [Card(title=name, lines=()) for name in "abcd"]
    text = page((None, cards[0]), (Doubt.TINY, cards[1]), (Doubt.FAULT, cards[2]), (Doubt.TINY, cards[3]))
    assert re.findall(r"<h2>(.*?)</h2>", text) == ["cannot be used (1)", "tiny (2)", "nothing to doubt (1)"]
    assert re.findall(r"<bdi>(\w)</bdi>", text) == ["c", "b", "d", "a"]


def test_a_card_shows_its_picture_objects_and_doubts() -> None:
    card = Card(
        title="video 'walk', frame 3",
        lines=("9 pixels",),
        picture="pictures/0-3.jpg",
        objects=((7, (1, 2, 3), ("tiny",)), (9, (4, 5, 6), ())),
        row=12,
    )
    read = Read(page((None, card)))
    assert ("img", [("loading", "lazy"), ("alt", ""), ("src", "pictures/0-3.jpg")]) in read.tags
    assert ("i", [("style", "background: rgb(1, 2, 3)")]) in read.tags
    for part in ("video 'walk', frame 3 (row 12)", "object 7: tiny", "object 9", "9 pixels"):
        assert part in read.text


@given(st.text(max_size=20), st.text(max_size=20))
def test_what_a_manifest_says_is_text(title: str, line: str) -> None:
    plain, evil = (page((None, Card(title=t, lines=(m,)))) for t, m in (("", ""), (title, line)))
    assert [tag for tag, _ in Read(evil).tags] == [tag for tag, _ in Read(plain).tags]


def test_scripts_in_ids_stay_text() -> None:
    read = Read(page((None, Card(title="<script>alert('x')</script>&amp;", lines=('"><img src=x onerror=y>',)))))
    assert "script" not in [tag for tag, _ in read.tags] and "img" not in [tag for tag, _ in read.tags]
    assert "<script>alert('x')</script>&amp;" in read.text and '"><img src=x onerror=y>' in read.text
