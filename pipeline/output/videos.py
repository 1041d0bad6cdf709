"""The files of the table `videos`: one row a committed video, rebuilt from the commits at any time."""

import uuid

import pyarrow as pa

from pipeline.output.batches import put_table
from pipeline.output.committed import Committed, read_videos_file, rows_by_commit
from pipeline.output.layout import CommitFile, table_path
from pipeline.storage.store import Store


def sync_videos(store: Store, committed: Committed) -> None:
    """Make the files hold exactly the rows of `committed`; for the driver alone.

    A file with other rows is not changed: a new one takes its place, so that whoever reads meanwhile, or writes without
    the lease by now, harms nobody. Raises DamagedOutput, StoreUnavailable.
    """
    missing = {found.file for found in committed.current.values()}
    replaced = []
    for entry in store.list("videos"):
        path = f"videos/{entry.name}"
        try:
            table = read_videos_file(store, path)
        except FileNotFoundError:  # this driver has lost its lease, and the next one has been here
            continue
        rows = rows_by_commit(table)
        if rows.keys() <= missing and len(rows) == len(table):
            missing -= rows.keys()
        else:
            replaced.append(path)
    if missing:
        _put(store, committed.videos, missing)
    for path in replaced:
        store.delete(path)


def _put(store: Store, videos: pa.Table, wanted: set[CommitFile]) -> None:
    at = rows_by_commit(videos)
    rows = pa.array(sorted(at[file] for file in wanted), pa.int64())
    # A name that never comes again: a driver that lost its lease may still be about to delete one of today.
    put_table(store, table_path("videos", uuid.uuid4().hex), videos.take(rows))
