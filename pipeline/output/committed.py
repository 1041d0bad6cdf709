"""What counts in an OUTPUT at one moment: of every video the newest commit whose files are there.

A commit counts when every file that it lists stands in the listings with the listed size; one that does not count is as
good as none, and its video is done again. All of it takes a few listings and the files of `videos`, never a request a
video, except for commits that stand in none of these files yet.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import DamagedOutput, StoreUnavailable
from pipeline.output.commits import Commit, read_if_whole
from pipeline.output.layout import COMMITS, ROW_TABLES, CommitFile, attempt_of, commit_of, safe_name
from pipeline.output.listings import videos_files
from pipeline.output.schema import SCHEMAS, conform, to_table
from pipeline.storage.store import Store

_PARALLEL_READS = 16
_LOOKS = 10
"""How often it is looked again while a driver changes what was listed."""


class Counted(NamedTuple):
    """A commit that counts."""

    file: CommitFile
    video_id: str
    committed_at: datetime
    """By its driver's clock: decides between commits of before the number stood in their names."""
    paths: Mapping[str, str]
    """Its files below OUTPUT, by table."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Committed:
    """What counts, and what does not."""

    current: Mapping[str, Counted]
    """By safe name of the video."""
    superseded: tuple[CommitFile, ...]
    """Older commits of videos that have a newer one that counts."""
    broken: tuple[CommitFile, ...]
    """Commits whose files are gone or short, or that cannot be read, with no newer one that counts."""
    videos: pa.Table
    """The rows of `videos` of `current`."""
    stored: Mapping[str, tuple[CommitFile | None, ...]]
    """By path of each file of `videos` the commits that its rows stand for; None for rows of an earlier version."""
    tidy: bool
    """Whether the files of `videos` hold just these rows, and nothing lies about that no current commit lists."""

    def has(self, video_id: str, identity: str) -> bool:
        """Whether that is the video's result."""
        found = self.current.get(safe_name(video_id))
        return found is not None and found.file.identity == identity

    def needing_prompt(self, video_ids: Collection[str]) -> dict[str, int]:
        """By video_id, of these: the frame that a further prompt is needed on, or after."""
        rows = self.videos.select(["video_id", "needs_prompt_frame"]).filter(
            self.videos["needs_prompt_frame"].is_valid()
        )
        return {row["video_id"]: row["needs_prompt_frame"] for row in rows.to_pylist() if row["video_id"] in video_ids}

    @property
    def newest_driver(self) -> int:
        """The highest lease number of any commit."""
        files = [*(found.file for found in self.current.values()), *self.superseded, *self.broken]
        return max((file.driver for file in files), default=0)


def read_committed(store: Store, *, without: Collection[str] = ()) -> Committed:
    """Look at an OUTPUT; right also while a driver commits, supersedes and tidies up.

    `without`: paths of files of `videos` that are not to be believed; commits are read in their place. Raises
    InvalidOutput for a commit of a newer version or an unreadable file of `videos`, StoreUnavailable.
    """
    listed: set[CommitFile] | None = None
    for _ in range(_LOOKS):
        # Files are listed after commits: those of a commit that counts were there before it.
        commits = _commits(store)
        with suppress(FileNotFoundError):  # a file of `videos` was rewritten: look again
            found = _look(store, commits, without)
            # What seems broken may have been superseded and removed since.
            if not found.broken or commits == listed:
                return found
        listed = _commits(store)
    raise StoreUnavailable(f"{store.url} changes faster than it can be read: try again")


def _commits(store: Store) -> set[CommitFile]:
    return {file for entry in store.list(COMMITS) if (file := commit_of(entry.name))}


def _look(store: Store, commits: set[CommitFile], without: Collection[str]) -> Committed:
    sizes = {f"{table}/{entry.name}": entry.size for table in ROW_TABLES for entry in store.list(table)}
    parts = _read_videos(store, without)
    stored = {path: tuple(_files_of_rows(part)) for path, part in parts.items()}
    table = pa.concat_tables([SCHEMAS["videos"].empty_table(), *parts.values()])
    at = {file: index for index, file in enumerate(chain.from_iterable(stored.values())) if file in commits}
    read = _read_commits(store, commits - at.keys())
    known = dict(_counted_rows(table, at, sizes)) | dict(_counted_commits(read, sizes))
    current = _newest(known)
    kept = [at[found.file] for found in current.values() if found.file in at]
    extra = [read[found.file].row for found in current.values() if found.file in read]  # type: ignore[union-attr]
    others = commits - {found.file for found in current.values()}
    superseded = {file for file in others if file.safe in current and file.driver <= current[file.safe].file.driver}
    return Committed(
        current=current,
        superseded=tuple(sorted(superseded)),
        broken=tuple(sorted(others - superseded)),
        videos=pa.concat_tables([table.take(pa.array(kept, pa.int64())), to_table("videos", extra)]),
        stored=stored,
        tidy=not (extra or others or len(kept) < len(table)) and _lists_all(current, sizes),
    )


def _lists_all(current: Mapping[str, Counted], sizes: Mapping[str, int]) -> bool:
    listed = {path for found in current.values() for path in found.paths.values()}
    return all(path in listed for path in sizes if attempt_of(path.rpartition("/")[2]))


def _read_videos(store: Store, without: Collection[str]) -> dict[str, pa.Table]:
    paths = [path for path in videos_files(store) if path not in without]
    with ThreadPoolExecutor(_PARALLEL_READS) as pool:
        return dict(zip(paths, pool.map(lambda path: read_videos_file(store, path), paths), strict=True))


def read_videos_file(store: Store, path: str) -> pa.Table:
    """A file of `videos` of this version or an earlier one. Raises FileNotFoundError, DamagedOutput."""
    try:
        # Not a Python file: a thread of Arrow may let go of it while the interpreter exits, and abort.
        return conform("videos", pq.read_table(pa.BufferReader(store.get(path))))
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise DamagedOutput(
            f"{store.url_of(path)} cannot be read ({error}); delete this file and run again: "
            "it is rebuilt from the commits"
        ) from error


def rows_by_commit(table: pa.Table) -> dict[CommitFile, int]:
    """Where the row of each commit stands in rows of `videos`; those that an earlier version wrote are left out."""
    return {file: index for index, file in enumerate(_files_of_rows(table)) if file}


def _files_of_rows(table: pa.Table) -> Iterator[CommitFile | None]:
    """Of every row the commit that it stands for; None where an earlier version wrote it, without the files."""
    columns = (table[name].to_pylist() for name in ("video_id", "identity", "driver", "masks_file"))
    for video_id, identity, driver, masks_file in zip(*columns, strict=True):
        yield CommitFile(safe_name(video_id), identity, driver) if masks_file is not None else None


def _read_commits(store: Store, files: Iterable[CommitFile]) -> dict[CommitFile, Commit | None]:
    """None: unreadable, or gone since it was listed."""
    wanted = sorted(files)
    with ThreadPoolExecutor(_PARALLEL_READS) as pool:
        return dict(zip(wanted, pool.map(lambda file: read_if_whole(store, file), wanted), strict=True))


def _counted_rows(
    table: pa.Table, at: Mapping[CommitFile, int], sizes: Mapping[str, int]
) -> Iterator[tuple[CommitFile, Counted]]:
    columns = ["video_id", "committed_at", *(f"{name}_{what}" for name in ROW_TABLES for what in ("file", "bytes"))]
    rows: list[dict[str, Any]] = table.select(columns).to_pylist()
    for file, index in at.items():
        row = rows[index]
        if all(sizes.get(row[f"{name}_file"]) == row[f"{name}_bytes"] for name in ROW_TABLES):
            paths = {name: row[f"{name}_file"] for name in ROW_TABLES}
            yield file, Counted(file, row["video_id"], row["committed_at"], paths)


def _counted_commits(
    read: Mapping[CommitFile, Commit | None], sizes: Mapping[str, int]
) -> Iterator[tuple[CommitFile, Counted]]:
    for file, commit in read.items():
        if commit is not None and counts(commit, sizes):
            paths = {name: record.path for name, record in commit.files.items()}
            yield file, Counted(file, commit.video_id, commit.committed_at, paths)


def counts(commit: Commit, sizes: Mapping[str, int]) -> bool:
    """Whether all of its files are there with their sizes; `sizes` in bytes by path below OUTPUT."""
    return all(sizes.get(record.path) == record.bytes for record in commit.files.values())


def _newest(known: Mapping[CommitFile, Counted]) -> dict[str, Counted]:
    by_video = defaultdict(list)
    for file, found in known.items():
        by_video[file.safe].append(found)
    return {
        safe: max(found, key=lambda one: (one.file.driver, one.committed_at))
        for safe, found in sorted(by_video.items())
    }
