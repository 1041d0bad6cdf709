"""Putting an OUTPUT back in line: what `verify` finds damaged does not count any more, and `videos` is right again.

Under the lease, so never beside a driver, and with a driver's rules (design 8): a commit goes before its files, nothing
goes that a commit which counts lists, and whatever breaks off leaves an output that can be read. A commit is removed
only where a second look finds it damaged too.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from pipeline.output.commits import Commit, commit_of_row, restore_commit
from pipeline.output.committed import read_committed
from pipeline.output.contents import count_rows, fault_of
from pipeline.output.findings import LOST, Kind, Report
from pipeline.output.layout import ROW_TABLES, new_run_id
from pipeline.output.lease import Lease, LeaseTimes
from pipeline.output.look import Damaged, Look, Video
from pipeline.output.marker import check_output
from pipeline.output.sweep import Sweep, sweep
from pipeline.output.verify import verify
from pipeline.output.videos import sync_videos
from pipeline.storage.store import Store


@dataclass(frozen=True, kw_only=True)
class Repaired:
    """What was wrong, and what became of it."""

    report: Report
    again: tuple[str, ...]
    """Videos that have no result any more: the next run with them segments them. By video_id, or by the safe name where
    that is all there is."""
    earlier: tuple[str, ...]
    """Videos whose earlier result counts again."""
    restored: tuple[str, ...]
    """Videos whose commit was written anew, from their row of `videos`."""
    deleted: int
    """Files: of commits that do not count any more, and of attempts that no commit lists."""


def repair(
    store: Store,
    *,
    grace_s: float,
    not_exclusive: bool = False,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
    tell: Callable[[str], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
    lease_times: LeaseTimes | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Repaired:
    """Verify an OUTPUT and put it in line. `grace_s`: how long replaced results stay; `not_exclusive`: as of `Lease`.

    Raises:
        InvalidOutput: OUTPUT is not ours, of a newer version, cannot be written, or ignores conditional creates.
        OutputInUse: a driver writes to it.
        KeyboardInterrupt: `stop` said so; what is in line by then stays so.
        StoreUnavailable: OUTPUT cannot be reached.
    """
    check_output(store)
    run_id = new_run_id()
    lease = Lease(store, run_id, times=lease_times, tell=tell, clock=clock, sleep=sleep, not_exclusive=not_exclusive)
    with lease:
        report = verify(store, alone=True, on_progress=on_progress, stop=stop)
        work = _Repair(store, lease, report, stop)
        lease.rise_above(work.newest_driver)
        work.mend_commits()
        work.rebuild_tables()
        swept = sweep(store, Sweep.by(lease, run_id, grace_s))
    return Repaired(
        report=report,
        again=tuple(work.again),
        earlier=tuple(work.earlier),
        restored=tuple(work.restored),
        deleted=work.deleted + swept.deleted,
    )


class _Repair:
    def __init__(self, store: Store, lease: Lease, report: Report, stop: Callable[[], bool]) -> None:
        self._store = store
        self._lease = lease
        self._stop = stop
        self._report = report
        self._look = Look(store, alone=True)
        self.again: list[str] = []
        self.earlier: list[str] = []
        self.restored: list[str] = []
        self.deleted = 0

    @property
    def newest_driver(self) -> int:
        return max((file.driver for files in self._look.commits.values() for file in files), default=0)

    def mend_commits(self) -> None:
        """Restore or remove every commit that is damaged, and found so twice."""
        suspected = {one.commit for one in self._report.found if one.kind in LOST}
        for safe, files in self._look.commits.items():
            if any(file.path in suspected for file in files):
                self._mend(self._look.video(safe), suspected)

    def _mend(self, video: Video, suspected: Collection[str | None]) -> None:
        name = next((one.video_id for damaged in video.damaged for one in damaged.found if one.video_id), video.safe)
        for damaged in video.damaged:
            if damaged.file.path not in suspected:
                return
            self._go_on()
            if commit := self._from_row(damaged):
                restore_commit(self._store, commit)
                self.restored.append(name)
                return
            self._remove(damaged, video)
        if video.damaged:
            (self.earlier if video.current else self.again).append(name)

    def _from_row(self, damaged: Damaged) -> Commit | None:
        """The commit that cannot be read, where its row tells what it said, and the files agree."""
        row = self._look.rows.of(damaged.file)
        if damaged.commit is not None or row is None:
            return None
        commit = commit_of_row(row, dict.fromkeys(ROW_TABLES, 0))
        files = {table: replace(record, rows=count_rows(self._store, record)) for table, record in commit.files.items()}
        commit = replace(commit, files=files)
        faults = (
            fault_of(self._store, table, commit.video_id, record, self._look.size_of(record.path))
            for table, record in files.items()
        )
        return commit if commit.file == damaged.file and not any(faults) else None

    def _remove(self, damaged: Damaged, video: Video) -> None:
        self._store.delete(damaged.file.path)
        self.deleted += 1
        for path in self._own_files(damaged, video):
            self._go_on()
            self._store.delete(path)
            self.deleted += 1

    def _own_files(self, damaged: Damaged, video: Video) -> list[str]:
        """Files of the video's attempts that this commit alone lists: whatever else it names belongs to others."""
        if damaged.commit is None:
            return []
        kept = {path for commit in video.commits if commit.file != damaged.file for path in commit.paths}
        return [path for path in self._look.files.get(video.safe, {}) if path in damaged.commit.paths - kept]

    def rebuild_tables(self) -> None:
        """Rows of what counts now, and no file that cannot be read."""
        found = self._report.found
        wrong = {one.path for one in found if one.kind is Kind.WRONG_ROW}
        unreadable = {one.path for one in found if one.kind is Kind.UNREADABLE_TABLE}
        unreadable &= {one.path for one in self._look.unreadable_tables()}
        self._go_on()
        self._lease.refresh()  # only the holder may delete
        sync_videos(self._store, read_committed(self._store, without=wrong | unreadable))
        for path in sorted(wrong | unreadable):
            self._go_on()
            self._store.delete(path)

    def _go_on(self) -> None:
        """Between any two changes."""
        if self._stop():
            raise KeyboardInterrupt
        self._lease.check()
