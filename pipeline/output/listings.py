"""What lies in an OUTPUT, video by video, as its folders list it."""

from collections import defaultdict

from pipeline.output.layout import COMMITS, ROW_TABLES, CommitFile, attempt_of, commit_of
from pipeline.storage.backends import Entry
from pipeline.storage.store import Store

NOT_OURS = ""
"""Stands for the video of files that no attempt of a run wrote."""


def commits_by_video(store: Store) -> dict[str, dict[CommitFile, Entry]]:
    """Files of `_commits` by the safe name of their video; files of other names are left out."""
    found: dict[str, dict[CommitFile, Entry]] = defaultdict(dict)
    for entry in store.list(COMMITS):
        if file := commit_of(entry.name):
            found[file.safe][file] = entry
    return dict(found)


def files_by_video(store: Store) -> dict[str, dict[str, Entry]]:
    """Files of `masks` and `frames` by the safe name of their video, or `NOT_OURS`, and by path."""
    found: dict[str, dict[str, Entry]] = defaultdict(dict)
    for table in ROW_TABLES:
        for entry in store.list(table):
            attempt = attempt_of(entry.name)
            found[attempt.safe if attempt else NOT_OURS][f"{table}/{entry.name}"] = entry
    return dict(found)


def videos_files(store: Store) -> list[str]:
    """Paths of the files of `videos`."""
    return [f"videos/{entry.name}" for entry in store.list("videos") if entry.name.endswith(".parquet")]
