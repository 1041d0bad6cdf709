"""The files of the table `videos`: one row a committed video, rebuilt from the commits at any time."""

import uuid

import pyarrow as pa

from pipeline.output.batches import put_table
from pipeline.output.committed import Committed, rows_by_commit
from pipeline.output.layout import CommitFile, table_path
from pipeline.storage.store import Store


def sync_videos(store: Store, committed: Committed) -> None:
    """Make the files hold exactly the rows of `committed`, which was read just now; for the driver alone.

    A file with other rows is not changed: a new one takes its place, so that whoever reads meanwhile, or writes without
    the lease by now, harms nobody. Raises InvalidOutput, StoreUnavailable.
    """
    missing = {found.file for found in committed.current.values()}
    replaced = []
    for path, rows in committed.stored.items():
        wanted = set(rows)
        if wanted <= missing and len(wanted) == len(rows):
            missing -= wanted
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
