"""Whose folder DEST is: a marker file says of which export, and whether it is finished.

    _vos-batch-export.json          what was asked for; `finished` with the last write of all
    _export/NNNNNNNN.done           what is known of a video that is written
    _export/NNNNNNNN.part.NAME      what it gives to a file that all videos share

`_export` is removed when everything is finished; until then the same call goes on from there.
"""

import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jobs.exports.losses import Tally
from pipeline.errors import InvalidOutput
from pipeline.storage.store import Store

MARKER = "_vos-batch-export.json"
PARTS = "_export"

_DONE = re.compile(r"(\d{8})\.done")
_PART = re.compile(r"\d{8}\.part\.(.+)")
_PARALLEL_REQUESTS = 16
_CHOOSE = "choose an empty or new folder as DEST"


def part_path(number: int, name: str) -> str:
    """Where a video's part of something lies."""
    return f"{PARTS}/{number:08d}.part.{name}"


def part_name(file_name: str) -> str | None:
    """Of what a file is a part; None for another file."""
    match = _PART.fullmatch(file_name)
    return match[1] if match else None


def claim(store: Store, call: Mapping[str, object]) -> None:
    """Make an empty folder this call's; an unfinished one of the same call passes.

    Raises InvalidOutput for any other folder, StoreUnavailable.
    """
    names = [entry.name for entry in store.list()]
    if MARKER not in names:
        if names:
            shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            raise InvalidOutput(f"{store.url} is not empty (it holds {shown}): {_CHOOSE}")
        store.create(MARKER, _bytes({"finished": False, "call": call}))
    marker = _read(store)
    if marker["finished"]:
        raise InvalidOutput(f"{store.url} holds a finished export already: {_CHOOSE}, or remove it first")
    if marker["call"] != json.loads(json.dumps(call)):
        raise InvalidOutput(
            f"{store.url} holds an unfinished export of something else: {_CHOOSE}, or remove it first; the same "
            "call as before would go on with it, unless OUTPUT has changed since"
        )


def _read(store: Store) -> dict[str, Any]:
    try:
        content = json.loads(store.get(MARKER))
        return {"finished": content["finished"], "call": content["call"]}
    except (ValueError, TypeError, LookupError) as error:
        raise InvalidOutput(f"{store.url_of(MARKER)} is no marker of an export ({error!r}): {_CHOOSE}") from error


def put_done(store: Store, number: int, tally: Tally) -> None:
    """A video is written."""
    store.put(f"{PARTS}/{number:08d}.done", _bytes(tally.content()))


def read_done(store: Store) -> tuple[set[int], Tally]:
    """The numbers of the videos that are written, and what was written of them."""
    names = [entry.name for entry in store.list(PARTS) if _DONE.fullmatch(entry.name)]
    with ThreadPoolExecutor(_PARALLEL_REQUESTS) as readers:
        written = Tally()
        for content in readers.map(lambda name: store.get(f"{PARTS}/{name}"), names):
            written += Tally.of(json.loads(content))
    return {int(name[:8]) for name in names}, written


def finish(store: Store, call: Mapping[str, object], tally: Tally) -> None:
    """Everything is written: say so, and remove what is not wanted any more."""
    store.put(MARKER, _bytes({"finished": True, "call": call, "written": tally.content()}))
    names = [entry.name for entry in store.list(PARTS)]
    with ThreadPoolExecutor(_PARALLEL_REQUESTS) as removers:
        list(removers.map(lambda name: store.delete(f"{PARTS}/{name}"), names))


def _bytes(content: Mapping[str, object]) -> bytes:
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode()
