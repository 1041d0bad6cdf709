"""The rows of `videos` as they stand in its files, also in damaged ones, and what each of them says."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from pipeline.errors import DamagedOutput
from pipeline.output.commits import Commit
from pipeline.output.committed import read_videos_file
from pipeline.output.layout import CommitFile, safe_name
from pipeline.output.listings import videos_files
from pipeline.output.schema import SCHEMAS, to_table
from pipeline.storage.store import Store


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredRows:
    """All rows that can be read."""

    table: pa.Table
    at: Mapping[CommitFile, int]
    """Where the row of each commit stands."""
    path: tuple[str, ...]
    """By row the file that it is in."""
    repeated: tuple[tuple[CommitFile, str], ...]
    """Rows that another one is like, by commit and file."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """By path of a file the reason."""

    def of(self, file: CommitFile) -> dict[str, Any] | None:
        """The row of a commit; None where there is none, or an earlier version wrote it without the files."""
        if (index := self.at.get(file)) is None:
            return None
        (row,) = self.table.slice(index, 1).to_pylist()
        return row if row["masks_file"] is not None else None

    def path_of(self, file: CommitFile) -> str:
        """The file with the row of a commit that has one."""
        return self.path[self.at[file]]

    def differing(self, commits: Iterable[Commit]) -> list[Commit]:
        """Those of the commits that have a row, and it says otherwise."""
        held = [commit for commit in commits if commit.file in self.at]
        wanted = to_table("videos", [commit.row for commit in held])
        stored = self.table.take(pa.array([self.at[commit.file] for commit in held], pa.int64()))
        if stored.equals(wanted):
            return []
        pairs = zip(held, stored.to_pylist(), wanted.to_pylist(), strict=True)
        return [commit for commit, row, right in pairs if row != right and row["masks_file"] is not None]


def read_stored_rows(store: Store) -> StoredRows:
    """Read all files of `videos`. Raises StoreUnavailable."""
    parts, unreadable = {}, {}
    for path in videos_files(store):
        try:
            parts[path] = read_videos_file(store, path)
        except FileNotFoundError:  # rewritten by a driver
            continue
        except DamagedOutput as error:
            unreadable[path] = str(error)
    table = pa.concat_tables([SCHEMAS["videos"].empty_table(), *parts.values()])
    paths = tuple(path for path, part in parts.items() for _ in range(len(part)))
    at: dict[CommitFile, int] = {}
    repeated = []
    for index, file in enumerate(_commits_of(table)):
        if at.setdefault(file, index) != index:
            repeated.append((file, paths[index]))
    return StoredRows(table=table, at=at, path=paths, repeated=tuple(repeated), unreadable=unreadable)


def _commits_of(table: pa.Table) -> Iterable[CommitFile]:
    columns = (table[name].to_pylist() for name in ("video_id", "identity", "driver"))
    for video_id, identity, driver in zip(*columns, strict=True):
        yield CommitFile(safe_name(video_id), identity, driver or 0)
