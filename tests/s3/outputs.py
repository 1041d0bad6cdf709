"""What is committed in an output on a server, looked at file by file."""

import hashlib

from pipeline.output import tables
from pipeline.output.commits import Commit, read_if_whole
from pipeline.output.committed import read_committed
from pipeline.output.layout import COMMITS, commit_of
from pipeline.storage.store import Store


def counting(store: Store) -> set[str]:
    """Videos with a commit whose files are there with their sizes and checksums."""
    files = (file for entry in store.list(COMMITS) if (file := commit_of(entry.name)))
    commits = [commit for file in files if (commit := read_if_whole(store, file))]
    return {commit.video_id for commit in commits if _has_its_files(store, commit)}


def _has_its_files(store: Store, commit: Commit) -> bool:
    try:
        data = {record.path: store.get(record.path) for record in commit.files.values()}
    except FileNotFoundError:
        return False
    return all(hashlib.sha256(data[r.path]).hexdigest() == r.sha256 for r in commit.files.values())


def check_readers(store: Store) -> set[str]:
    """Videos that readers see: just those that are committed."""
    shown = {found.video_id for found in read_committed(store).current.values()}
    assert shown == counting(store)
    return shown


def check_complete(store: Store, videos: set[str]) -> None:
    """These videos are committed, and every table has their rows and no others."""
    assert check_readers(store) == videos
    rows = tables.open(store.url, "videos").to_table().to_pylist()
    assert {row["video_id"] for row in rows} == videos
    for table in ("masks", "frames"):
        assert set(tables.open(store.url, table).to_table()["video_id"].to_pylist()) == videos
