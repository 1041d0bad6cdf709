"""Removing what no commit lists: files of attempts that failed, were killed, or lost to another (design 8).

And the temporaries of killed writers, on stores that have such.

For the driver that holds the lease, when no attempt of its own is running. Afterwards a plain glob over
`masks/*.parquet` reads what is committed and nothing else.
"""

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

from pipeline.output.commits import CommitLog
from pipeline.output.layout import FOLDERS, ROW_TABLES, commit_path, video_of
from pipeline.storage.store import Store

_PARALLEL = 16


def sweep(store: Store, log: CommitLog) -> int:
    """Delete the files of `masks` and `frames` that no commit lists; how many these were.

    One listing a table: a video that is committed and has one file needs no look into its commit. Files that are
    not named as an attempt's are left alone: they are not ours. Raises StoreUnavailable, InvalidOutput.
    """
    current = log.current()
    orphans = [f"{table}/{name}" for table in ROW_TABLES for name in _orphans(store, log, table, current)]
    orphans += [f"{folder}/{entry.name}" for folder in FOLDERS for entry in store.abandoned(folder)]
    with ThreadPoolExecutor(_PARALLEL) as pool:
        list(pool.map(store.delete, orphans))
    return len(orphans)


def _orphans(store: Store, log: CommitLog, table: str, current: dict[str, str]) -> list[str]:
    files = defaultdict(list)
    for entry in store.list(table):
        if (safe := video_of(entry.name)) is not None:
            files[safe].append(entry.name)
    found = []
    for safe, names in files.items():
        if safe not in current:
            found += names
        elif len(names) > 1:
            listed = log.read(commit_path(safe, current[safe])).files[table].path
            found += [name for name in names if f"{table}/{name}" != listed]
    return found
