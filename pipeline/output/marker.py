"""Whose folder OUTPUT is: a marker file says that it is ours, and of which schema version."""

import json
from collections.abc import Mapping, Sequence

from pipeline.errors import InvalidOutput
from pipeline.output.layout import MARKER
from pipeline.output.schema import SCHEMA_VERSION
from pipeline.storage.store import Store


def claim_output(store: Store) -> None:
    """Make an empty or missing folder ours by its marker; one of ours passes.

    Raises InvalidOutput for a folder of something else and for an output of a newer schema version.
    """
    names = [entry.name for entry in store.list()]
    if MARKER not in names:
        _refuse_foreign(store, names)
        store.create(MARKER, json_bytes({"format": "vos-batch", "schema_version": SCHEMA_VERSION}))
    check_output(store)


def _refuse_foreign(store: Store, names: Sequence[str]) -> None:
    if names:
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        raise InvalidOutput(
            f"{store.url} is not empty and was not written by vos-batch (it holds {shown}): "
            "choose an empty or new folder as OUTPUT"
        )


def check_output(store: Store) -> None:
    """Raise InvalidOutput unless the folder is ours and of a schema version that we read."""
    url = store.url_of(MARKER)
    try:
        marker = json.loads(store.get(MARKER))
        if marker["format"] != "vos-batch":
            raise ValueError(f"format is {marker['format']!r}")
        refuse_newer(marker["schema_version"], url)
    except FileNotFoundError as error:
        raise InvalidOutput(
            f"no vos-batch output at {store.url} (it has no {MARKER}): check the path, "
            "or write one with `vos-batch segment`"
        ) from error
    except (ValueError, TypeError, LookupError) as error:
        raise InvalidOutput(f"{url} is no marker of vos-batch ({error}): choose another folder as OUTPUT") from error


def refuse_newer(version: int, url: str) -> None:
    """Raise InvalidOutput for a file of a later schema version than this one."""
    if version > SCHEMA_VERSION:
        raise InvalidOutput(
            f"{url} has schema version {version}, this vos-batch reads up to {SCHEMA_VERSION}: "
            "install a newer vos-batch or choose another OUTPUT"
        )


def json_bytes(content: Mapping[str, object]) -> bytes:
    """JSON for people and programs: the same bytes for the same content."""
    return (json.dumps(content, sort_keys=True, indent=2, allow_nan=False) + "\n").encode()
