"""Removing what nobody needs any more: superseded results, files of attempts that came to nothing, temporaries.

For the driver that holds the lease, when no attempt of its own is running. It may have lost the lease, or be frozen and
wake up, between any two requests; so it deletes only what can never be wanted again, whoever drives by then (design 8):

- commits that a newer one, which counts, has superseded, and the files that they alone list;
- files that no commit lists: of this run's own attempts; of the runs that it took over from, where this run has
  committed the video, so that theirs would come too late; and so old ones that no earlier driver can still commit them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, Self

from pipeline.output.commits import Commit, read_if_whole
from pipeline.output.committed import counts
from pipeline.output.layout import COMMITS, FOLDERS, ROW_TABLES, WORK, CommitFile, attempt_of, commit_of
from pipeline.output.lease import PROBE, Lease
from pipeline.output.listings import NOT_OURS, commits_by_video, files_by_video
from pipeline.storage.backends import Entry
from pipeline.storage.store import Store

_PARALLEL = 16


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What may go. Times are seconds since the epoch by the store's clock."""

    now_s: float
    """When this driver last showed that it holds the lease."""
    run_id: str
    """Of this run: its attempts are over."""
    driver: int
    """The number of its lease, which its commits carry."""
    replaced: frozenset[str]
    """The runs that this one took over from: whatever they still commit carries a lower number."""
    grace_s: float
    """How long a superseded result stays for those who have it open."""
    settled_s: float
    """What is older than this before `now_s` belongs to no driver that can still commit it: the time after which a
    silent one loses its lease, and the longest that a request takes."""

    @classmethod
    def by(cls, lease: Lease, run_id: str, grace_s: float) -> Self:
        """What the holder of a lease may delete."""
        return cls(
            now_s=lease.held_s,
            run_id=run_id,
            driver=lease.number,
            replaced=lease.replaced,
            grace_s=grace_s,
            settled_s=lease.settled_s,
        )

    def is_old(self, modified_s: float | None) -> bool:
        """Whether a file, or a commit, was written before any driver that may still be about."""
        return modified_s is not None and modified_s < self.now_s - self.settled_s

    def is_over(self, superseded_s: float | None) -> bool:
        """Whether a result was superseded so long ago that nobody has it open."""
        return superseded_s is not None and superseded_s <= self.now_s - self.grace_s


class Swept(NamedTuple):
    """What a sweep did."""

    deleted: int
    """Files."""
    waiting: int
    """Superseded results whose time has not come."""


def sweep(store: Store, what: Sweep) -> Swept:
    """Delete what may go.

    A video with one commit and one file a table needs no look into its commit. Files that are not named as an attempt's
    are left alone: they are not ours. Raises StoreUnavailable, InvalidOutput.
    """
    # Files before commits: what is committed after the files were listed is not among them.
    files = files_by_video(store)
    files.pop(NOT_OURS, None)
    commits = commits_by_video(store)
    sizes = {path: entry.size for found in files.values() for path, entry in found.items()}
    gone = [path for safe in sorted(files | commits) for path in _of_video(store, what, safe, files, commits, sizes)]
    left = {safe: len(commits[safe].keys() - {commit_of(path.rpartition("/")[2]) for path in gone}) for safe in commits}
    gone += _temporaries(store, what)
    with ThreadPoolExecutor(_PARALLEL) as pool:
        # Readers follow commits: none of them may list a file that is gone.
        list(pool.map(store.delete, (path for path in gone if path.startswith(COMMITS))))
        list(pool.map(store.delete, (path for path in gone if not path.startswith(COMMITS))))
    return Swept(deleted=len(gone), waiting=sum(number - 1 for number in left.values() if number > 1))


def _of_video(
    store: Store,
    what: Sweep,
    safe: str,
    all_files: dict[str, dict[str, Entry]],
    all_commits: dict[str, dict[CommitFile, Entry]],
    sizes: dict[str, int],
) -> Iterator[str]:
    """Paths of what may go of one video."""
    files, commits = all_files.get(safe, {}), all_commits.get(safe, {})
    if len(commits) == 1 and len(files) <= len(ROW_TABLES):
        return
    read = {file: read_if_whole(store, file) for file in commits}
    counted = [commit for commit in read.values() if commit is not None and counts(commit, sizes)]
    whole = [commit.file for commit in sorted(counted, key=lambda commit: (commit.driver, commit.committed_at))]
    if commits and not whole:  # nothing here is known to be replaced
        return
    gone = {file for file in commits if _may_go(what, file, commits, whole)}
    listed, replaced = _paths(read, read.keys() - gone), _paths(read, gone)
    yield from (file.path for file in gone)
    superseded = bool(whole) and whole[-1].driver >= what.driver
    for path, entry in files.items():
        if path not in listed and (path in replaced or _is_orphan(what, entry, superseded=superseded)):
            yield path


def _paths(read: Mapping[CommitFile, Commit | None], chosen: Iterable[CommitFile]) -> set[str]:
    return {path for file in chosen if (commit := read[file]) for path in commit.paths}


def _may_go(what: Sweep, file: CommitFile, commits: Mapping[CommitFile, Entry], whole: Sequence[CommitFile]) -> bool:
    """Whether a commit is replaced by the newest of those that are `whole` (in ascending order), and long enough."""
    newest = whole[-1]
    if file == newest:
        return False
    if file in whole:
        return what.is_over(commits[newest].modified_s)
    # Nobody reads a broken one; its driver may be about to find out.
    return what.is_old(commits[file].modified_s)


def _is_orphan(what: Sweep, entry: Entry, *, superseded: bool) -> bool:
    """Whether nobody will commit a file; `superseded` tells that runs before this one would do so too late."""
    attempt = attempt_of(entry.name)
    over = {what.run_id} | (what.replaced if superseded else frozenset())
    return (attempt is not None and attempt.run_id in over) or what.is_old(entry.modified_s)


def _temporaries(store: Store, what: Sweep) -> Iterator[str]:
    """Of writers that were killed, on stores that have such, and probes of drivers that were."""
    for folder in FOLDERS:
        yield from (f"{folder}/{entry.name}" for entry in store.abandoned(folder) if what.is_old(entry.modified_s))
    yield from (
        f"{WORK}/{entry.name}"
        for entry in store.list(WORK)
        if entry.name.startswith(PROBE) and what.is_old(entry.modified_s)
    )
