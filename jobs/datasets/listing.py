"""Names in the folders of a dataset, in natural order, and how messages show them."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from pipeline.errors import InvalidInput
from pipeline.input.frame_folder import natural_key
from pipeline.storage.store import Store

_SHOWN_NAMES = 10


def folders(store: Store, folder: str = "") -> list[str]:
    """The folders in a folder, without hidden ones."""
    names = (entry.name for entry in store.list(folder) if entry.is_folder)
    return sorted((name for name in names if not name.startswith(".")), key=natural_key)


def files(store: Store, suffixes: str | tuple[str, ...], folder: str = "") -> list[str]:
    """The files in a folder with one of these lower-case suffixes, in any case."""
    names = (entry.name for entry in store.list(folder) if not entry.is_folder)
    return sorted((name for name in names if name.lower().endswith(suffixes)), key=natural_key)


def stem(name: str) -> str:
    """A file's name without its suffix."""
    return PurePosixPath(name).stem


def by_stem(names: Iterable[str], what: str, url: str) -> dict[str, str]:
    """Names by what comes before their suffix, in their order. Raises InvalidInput where two share it.

    `what` they are and the `url` of their folder start the message.
    """
    listed = list(names)
    found = {stem(name): name for name in listed}
    if len(found) < len(listed):
        raise InvalidInput(f"{url}: {what} share a name up to the suffix; remove the copies")
    return found


def few(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    listed = list(names)
    shown = ", ".join(listed[:_SHOWN_NAMES])
    return shown if len(listed) <= _SHOWN_NAMES else f"{shown} and {len(listed) - _SHOWN_NAMES} more"
