"""An OUTPUT as it is listed at one moment, and what is wrong with its videos, one by one (for `verify`)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import DamagedOutput
from pipeline.output.commits import Commit, read_commit
from pipeline.output.contents import fault_of
from pipeline.output.findings import Finding, Kind
from pipeline.output.layout import WORK, CommitFile
from pipeline.output.lease import LeaseTimes, may_be_driven, settled_s
from pipeline.output.listings import commits_by_video, files_by_video
from pipeline.output.stored_rows import read_stored_rows
from pipeline.storage.store import Store

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Damaged:
    """A commit that is not whole."""

    file: CommitFile
    commit: Commit | None
    """None: it cannot be read."""
    found: tuple[Finding, ...]


@dataclass(frozen=True, kw_only=True)
class Video:
    """What was found of one video."""

    safe: str
    commits: tuple[Commit, ...]
    """All that can be read, the newest first."""
    damaged: tuple[Damaged, ...]
    """Those that are newer than the newest whole one."""
    current: Commit | None
    """The newest commit that is whole."""

    @property
    def files(self) -> set[str]:
        """Paths of all files that its commits list."""
        return {path for commit in self.commits for path in commit.paths}


class Look:
    """Listings, the rows of `videos`, and whether a driver may be at work."""

    def __init__(self, store: Store, *, alone: bool) -> None:
        """`alone`: the caller holds the lease. Raises StoreUnavailable."""
        self.store = store
        driven = may_be_driven(store)
        # Commits before files: those of a commit were there before it.
        self.commits = commits_by_video(store)
        self.files = files_by_video(store)
        self.rows = read_stored_rows(store)
        self.driven = not alone and (driven or may_be_driven(store))
        """Whether a driver may be about to put things in line."""
        self._sizes = {path: entry.size for files in self.files.values() for path, entry in files.items()}
        self._settled_before_s = self._now_s() - settled_s(LeaseTimes())

    def _now_s(self) -> float:
        """The store's time, as far as its listings tell: a driver refreshes its lease all the time."""
        times = [entry.modified_s for entry in self.store.list(WORK)]
        times += [entry.modified_s for files in self.files.values() for entry in files.values()]
        times += [entry.modified_s for commits in self.commits.values() for entry in commits.values()]
        return max((time for time in times if time is not None), default=0.0)

    def size_of(self, path: str) -> int | None:
        """Bytes of a file of `masks` or `frames`; None where it is not there."""
        return self._sizes.get(path)

    def is_at_work(self, modified_s: float | None) -> bool:
        """Whether a driver may be about to put in line what was written then."""
        return self.driven and modified_s is not None and modified_s >= self._settled_before_s

    def video(self, safe: str) -> Video:
        """Read a video's commits, and the files of the newest of them up to the first whole one.

        Raises InvalidOutput for a commit of a later version, StoreUnavailable.
        """
        read = [found for file in self.commits[safe] if (found := self._read(file))]
        read.sort(key=lambda found: (found.file.driver, _time(found.commit)), reverse=True)
        damaged, current = [], None
        for found in read:
            faults = found.found or tuple(self._faults(found.commit))
            if not faults:
                current = found.commit
                break
            damaged.append(Damaged(file=found.file, commit=found.commit, found=faults))
        commits = tuple(found.commit for found in read if found.commit)
        return Video(safe=safe, commits=commits, damaged=tuple(damaged), current=current)

    def _read(self, file: CommitFile) -> Damaged | None:
        """A commit; None where it is gone by now. It is damaged where it cannot be read."""
        try:
            return Damaged(file=file, commit=read_commit(self.store, file), found=())
        except FileNotFoundError:
            return None
        except DamagedOutput as error:
            row = self.rows.of(file)
            found = Finding(
                kind=Kind.UNREADABLE_COMMIT,
                path=file.path,
                what=str(error),
                video_id=row["video_id"] if row else None,
                commit=file.path,
            )
            return Damaged(file=file, commit=None, found=(found,))

    def _faults(self, commit: Commit | None) -> Iterator[Finding]:
        assert commit is not None
        for table, record in commit.files.items():
            if fault := fault_of(self.store, table, commit.video_id, record, self.size_of(record.path)):
                yield Finding(
                    kind=fault.kind,
                    path=record.path,
                    what=fault.what,
                    video_id=commit.video_id,
                    commit=commit.path,
                )

    def orphans(self, safe: str, video: Video | None) -> Iterator[Finding]:
        """Files of a video's attempts that no commit lists; none where a commit of it cannot be read."""
        if video and any(one.commit is None for one in video.damaged):
            return
        listed = video.files if video else set()
        for path, entry in self.files.get(safe, {}).items():
            if path not in listed and not self.is_at_work(entry.modified_s):
                yield Finding(kind=Kind.ORPHANED, path=path, what="no commit lists it")

    def rows_of(self, commits: Iterable[Commit]) -> Iterator[Finding]:
        """Missing and wrong rows of commits that are their videos' results."""
        commits = list(commits)
        for commit in commits:
            entry = self.commits[commit.file.safe][commit.file]
            if commit.file not in self.rows.at and not self.is_at_work(entry.modified_s):
                yield _about_row(Kind.WITHOUT_ROW, commit.path, "has no row in videos", commit)
        for commit in self.rows.differing(commits):
            yield _about_row(
                Kind.WRONG_ROW, self.rows.path_of(commit.file), f"its row of {commit.video_id} is another", commit
            )

    def stray_rows(self, wanted: set[CommitFile], standing: set[CommitFile]) -> Iterator[Finding]:
        """Rows of commits that are not there, or not `wanted`; `standing`: commits that were there at any moment."""
        for file, index in self.rows.at.items():
            if file not in wanted and not (self.driven and file in standing):
                yield _stray(file, self.rows.path[index], "has a row of a commit that is gone or replaced")
        if not self.driven:  # a driver writes a new file before it deletes the old one
            for file, path in self.rows.repeated:
                yield _stray(file, path, "repeats a row")

    def unreadable_tables(self) -> Iterator[Finding]:
        """Files of `videos` and `failures` that cannot be read. Raises StoreUnavailable."""
        for path, what in self.rows.unreadable.items():
            yield Finding(kind=Kind.UNREADABLE_TABLE, path=path, what=what)
        for path in [f"failures/{entry.name}" for entry in self.store.list("failures") if not entry.is_folder]:
            try:
                pq.read_table(pa.BufferReader(self.store.get(path)))
            except FileNotFoundError:  # trimmed
                continue
            except (pa.ArrowException, OSError) as error:
                yield Finding(kind=Kind.UNREADABLE_TABLE, path=path, what=f"cannot be read ({error})")


def _time(commit: Commit | None) -> datetime:
    return commit.committed_at if commit else _LONG_AGO


def _about_row(kind: Kind, path: str, what: str, commit: Commit) -> Finding:
    return Finding(kind=kind, path=path, what=what, video_id=commit.video_id, commit=commit.path)


def _stray(file: CommitFile, path: str, what: str) -> Finding:
    return Finding(kind=Kind.STRAY_ROW, path=path, what=f"{what}: {file.path}")
