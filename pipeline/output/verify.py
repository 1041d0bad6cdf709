"""Whether an OUTPUT is what was written: every commit held against its files, read in full, and its row of `videos`.

    report = verify(Store("s3://bucket/output"))

Nothing is changed, and a driver may be at work meanwhile: what it supersedes during the look is left out, and so is
what it is about to put in line. Memory holds listings, and the contents of a few files at a time.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from pipeline.output.findings import Finding, Kind, Report
from pipeline.output.layout import COMMITS, CommitFile, attempt_of, commit_of
from pipeline.output.listings import NOT_OURS
from pipeline.output.look import Look, Video
from pipeline.output.marker import check_output
from pipeline.storage.store import Store

_PARALLEL = 16
_BATCH = 256
"""Videos that are looked at before the next ones are begun."""


def verify(
    store: Store,
    *,
    alone: bool = False,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
    stop: Callable[[], bool] = lambda: False,
) -> Report:
    """Compare everything with everything. `on_progress` gets the videos done and all of them.

    `alone`: the caller holds the lease, so that nobody else puts anything in line. Raises KeyboardInterrupt when `stop`
    says so, InvalidOutput for a folder that is not ours or of a newer version, StoreUnavailable.
    """
    check_output(store)
    look = Look(store, alone=alone)
    tally = _Tally(found=list(look.unreadable_tables()))
    names, done = sorted(look.commits), 0
    with ThreadPoolExecutor(_PARALLEL) as pool:
        for batch in _batches(names):
            if stop():
                raise KeyboardInterrupt
            tally.add(look, list(pool.map(look.video, batch)))
            done += len(batch)
            on_progress(done, len(names))
    for safe in sorted(look.files.keys() - look.commits.keys() - {NOT_OURS}):
        tally.found += look.orphans(safe, None)
    return tally.report(look)


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[begin : begin + _BATCH] for begin in range(0, len(names), _BATCH))


@dataclass(kw_only=True)
class _Tally:
    """What was found so far."""

    found: list[Finding] = field(default_factory=list)
    wanted: set[CommitFile] = field(default_factory=set)
    """Commits whose rows `videos` must hold: results, and damaged commits that are to be mended or replaced."""
    whole: int = 0
    bytes: int = 0

    def add(self, look: Look, videos: Sequence[Video]) -> None:
        for video in videos:
            self.found += (finding for one in video.damaged for finding in one.found)
            self.found += look.orphans(video.safe, video)
            self.wanted |= {one.file for one in video.damaged}
            self.whole += not video.damaged
        current = [video.current for video in videos if video.current]
        self.wanted |= {commit.file for commit in current}
        self.bytes += sum(record.bytes for commit in current for record in commit.files.values())
        self.found += look.rows_of(current)

    def report(self, look: Look) -> Report:
        """Without what a driver has put in line since the look began."""
        before = {file for files in look.commits.values() for file in files}
        after = {file for entry in look.store.list(COMMITS) if (file := commit_of(entry.name))}
        found = [*self.found, *look.stray_rows(self.wanted | (after - before), before | after)]
        gone, begun = {file.path for file in before - after}, {file.safe for file in after - before}
        return Report(
            videos=len(look.commits),
            whole=self.whole,
            bytes=self.bytes,
            found=tuple(one for one in found if one.commit not in gone and _safe_of_orphan(one) not in begun),
            driven=look.driven,
        )


def _safe_of_orphan(finding: Finding) -> str | None:
    attempt = attempt_of(finding.path.rpartition("/")[2])
    return attempt.safe if attempt and finding.kind is Kind.ORPHANED else None
