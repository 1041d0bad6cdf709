"""Whose folder OUTPUT is: a marker file says that it is ours, and of which schema version."""

import json
from collections.abc import Mapping, Sequence

from pipeline.errors import InvalidOutput
from pipeline.output.layout import MARKER
from pipeline.output.schema import SCHEMA_VERSION
from pipeline.storage.store import Store


def claim_output(store: Store) -> int:
    """Make an empty or missing folder ours by its marker; one of ours passes. Returns its schema version.

    Raises InvalidOutput for a folder of something else and for an output of a newer schema version.
    """
    names = [entry.name for entry in store.list()]
    if MARKER not in names:
        _refuse_foreign(store, names)
        store.create(MARKER, _marker())
    return check_output(store)


def raise_version(store: Store) -> None:
    """Mark a folder of an earlier version as one of this, for it is about to hold what only this one reads whole.

    For the driver alone. Raises InvalidOutput, StoreUnavailable.
    """
    store.put(MARKER, _marker())


def _marker() -> bytes:
    return json_bytes({"format": "vos-batch", "schema_version": SCHEMA_VERSION})


def _refuse_foreign(store: Store, names: Sequence[str]) -> None:
    if names:
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        raise InvalidOutput(
            f"{store.url} is not empty and was not written by vos-batch (it holds {shown}): "
            "choose an empty or new folder as OUTPUT"
        )


def check_output(store: Store) -> int:
    """The schema version of a folder; raises InvalidOutput unless it is ours and of a version that we read."""
    url = store.url_of(MARKER)
    try:
        marker = json.loads(store.get(MARKER))
        if marker["format"] != "vos-batch":
            raise ValueError(f"format is {marker['format']!r}")
        refuse_newer(version := marker["schema_version"], url)
    except FileNotFoundError as error:
        raise InvalidOutput(
            f"no vos-batch output at {store.url} (it has no {MARKER}): check the path, "
            "or write one with `vos-batch segment`"
        ) from error
    except (ValueError, TypeError, LookupError) as error:
        raise InvalidOutput(f"{url} is no marker of vos-batch ({error}): choose another folder as OUTPUT") from error
    return int(version)


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
