"""The table `videos`, which can be made again from the commits at any time."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InvalidOutput, StoreUnavailable
from pipeline.output.batches import put_table, write_rows
from pipeline.output.commits import CommitLog
from pipeline.output.layout import commit_path, safe_name
from pipeline.output.schema import to_table
from pipeline.storage.store import Store

_PARALLEL_READS = 16
_LISTINGS = 10
"""How often a reader lists again when a driver has removed what was listed."""


def video_rows(store: Store) -> pa.Table:
    """The row of `videos` of every committed video, right while a driver commits.

    Read from the files of that table, and from the commits that stand in none of them yet: few requests, however
    many videos there are. Raises InvalidOutput naming an unreadable file, StoreUnavailable.
    """
    log = CommitLog(store)
    for _ in range(_LISTINGS):
        log.refresh()
        with suppress(FileNotFoundError):  # superseded or tidied up since it was listed: list again
            return _video_rows(store, log, set(log.current().items()))
    raise StoreUnavailable(f"{store.url} has commits whose files cannot be found: try again")


def _video_rows(store: Store, log: CommitLog, missing: set[tuple[str, str]]) -> pa.Table:
    parts = []
    with ThreadPoolExecutor(_PARALLEL_READS) as pool:
        paths = [f"videos/{entry.name}" for entry in store.list("videos")]
        for table in pool.map(lambda path: _read_videos(store, path), paths):
            rank = _rank(table, missing)
            missing = missing - rank.keys()
            parts.append(table.take(list(rank.values())))
        commits = pool.map(log.read, [commit_path(*video) for video in sorted(missing)])
        rows = to_table("videos", [commit.video for commit in commits])
    return pa.concat_tables([rows, *parts])


def sync_videos(store: Store, log: CommitLog | None = None) -> None:
    """Make the files of `videos` hold exactly one row per committed video; for the driver alone.

    Files with stale or repeated rows are rewritten without them or deleted; what is missing becomes one new
    file. Reads the table and only those commits that are missing in it, which `log` (None: a listing made now) knows.
    """
    log = log or CommitLog(store)
    missing = set(log.current().items())
    for entry in store.list("videos"):
        missing -= _keep(store, f"videos/{entry.name}", missing)
    if missing:
        commits = [log.read(commit_path(*video)) for video in sorted(missing)]
        # No two files have this name: what is missing now stands in no file.
        name = hashlib.sha256("\n".join(commit.path for commit in commits).encode()).hexdigest()[:32]
        write_rows(store, "videos", name, [commit.video for commit in commits])


def _keep(store: Store, path: str, wanted: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Reduce a file of `videos` to its wanted rows; what these are."""
    table = _read_videos(store, path)
    rank = _rank(table, wanted)
    if not rank:
        store.delete(path)
    elif len(rank) < table.num_rows:
        put_table(store, path, table.take(sorted(rank.values())))
    return set(rank)


def _rank(table: pa.Table, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Where the wanted rows stand in a table of videos."""
    rows = zip(map(safe_name, table["video_id"].to_pylist()), table["identity"].to_pylist(), strict=True)
    return {row: index for index, row in enumerate(rows) if row in wanted}


def _read_videos(store: Store, path: str) -> pa.Table:
    try:
        # Not a Python file: a thread of Arrow may let go of it while the interpreter exits, and abort.
        return pq.read_table(pa.BufferReader(store.get(path)))
    except pa.ArrowInvalid as error:
        raise InvalidOutput(
            f"{store.url_of(path)} cannot be read ({error}); delete this file and run again: "
            "it is rebuilt from the commits"
        ) from error
