"""Whose folder DIR is, and what is the same in every report."""

from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable

from pipeline.errors import InvalidOutput
from pipeline.storage.store import Store

ASSETS = "assets"
INDEX, REVIEW = "index.html", "review.html"


def claim(store: Store) -> None:
    """Raises InvalidOutput for a folder that is not empty, StoreUnavailable."""
    if names := [entry.name for entry in store.list()]:
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        raise InvalidOutput(f"{store.url} is not empty (it holds {shown}): choose an empty or new folder as DIR")


def put_assets(store: Store) -> None:
    """Styles, scripts and the libraries beside them, all but the pages. Raises InvalidOutput, StoreUnavailable."""
    for name, file in _files(resources.files("jobs.reports").joinpath(ASSETS)):
        if not name.endswith(".html"):
            store.put(f"{ASSETS}/{name}", file.read_bytes())


def put_page(store: Store, name: str) -> None:
    """A page, `index.html` last of all: where it is there, the report is whole."""
    store.put(name, resources.files("jobs.reports").joinpath(ASSETS, name).read_bytes())


def _files(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    for item in folder.iterdir():
        if item.is_dir():
            yield from _files(item, f"{prefix}{item.name}/")
        else:
            yield prefix + item.name, item
