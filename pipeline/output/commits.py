"""What is complete (design 8): a video is done when the driver has created its commit, and only then.

A commit is a small JSON file, created conditionally, that lists the video's files and carries its row of
`videos`; that table can be rebuilt from the commits at any time.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime

from pipeline.errors import InvalidOutput
from pipeline.output.layout import COMMITS, commit_of, commit_path, safe_name
from pipeline.output.marker import json_bytes, refuse_newer
from pipeline.output.schema import SCHEMA_VERSION, to_table
from pipeline.storage.store import Store

_PARALLEL_READS = 16


@dataclass(frozen=True, kw_only=True)
class FileRecord:
    """A file that a worker has put into the store."""

    path: str
    """Name below OUTPUT."""
    rows: int
    bytes: int
    sha256: str
    """Of the whole file, hexadecimal."""


@dataclass(frozen=True, kw_only=True)
class Commit:
    """One finished video."""

    video_id: str
    identity: str
    files: Mapping[str, FileRecord]
    """By table: masks and frames."""
    video: Mapping[str, object]
    """Its row of `videos` as JSON holds it: times are ISO 8601 text."""

    @property
    def path(self) -> str:
        """Name of this commit's file below OUTPUT."""
        return commit_path(safe_name(self.video_id), self.identity)

    @property
    def committed_at(self) -> datetime:
        """When the driver committed it."""
        return datetime.fromisoformat(str(self.video["committed_at"]))


class CommitLog:
    """The commits of one OUTPUT. Any process may read; only the driver that holds OUTPUT commits."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listing: dict[str, set[str]] | None = None

    def commit(self, commit: Commit) -> bool:
        """Make a video complete and supersede its older commits; False when it was committed before.

        Raises ValueError when `commit.video` is not this commit's row of `videos`.
        """
        _check(commit)
        created = self._store.create(commit.path, _to_json(commit))
        self._known().setdefault(safe_name(commit.video_id), set()).add(commit.identity)
        if created:
            self.supersede(commit)
        return created

    def settle(self, wanted: Mapping[str, str]) -> None:
        """Leave one commit to every video that a killed driver left with several.

        `wanted`: by video_id the identity that this run would make; where it is not among them the newest stays.
        """
        identities = {safe_name(video_id): identity for video_id, identity in wanted.items()}
        for safe in [safe for safe, found in self._known().items() if len(found) > 1]:
            wanted_here = identities.get(safe)
            kept = wanted_here if wanted_here in self._known()[safe] else self._current(safe, self._known()[safe])
            self.supersede(self.read(commit_path(safe, kept)))

    def supersede(self, current: Commit) -> None:
        """Delete the other commits of the same video, then those of their files that `current` does not list."""
        safe = safe_name(current.video_id)
        identities = self._known()[safe]
        for old in identities - {current.identity}:
            self._remove(commit_path(safe, old), keep={record.path for record in current.files.values()})
            identities.discard(old)

    def _remove(self, path: str, keep: set[str]) -> None:
        old = self.read(path)
        # Readers follow commits: none of them may list a file that is gone.
        self._store.delete(path)
        for record in old.files.values():
            if record.path not in keep:
                self._store.delete(record.path)

    def refresh(self) -> None:
        """Look at the store again: what the other methods know is one listing, and what was committed here since."""
        self._listing = _by_video(self._paths())

    def committed(self) -> dict[str, set[str]]:
        """Identities by safe name of the video."""
        return {safe: set(identities) for safe, identities in self._known().items()}

    def is_committed(self, video_id: str, identity: str) -> bool:
        """Whether the last listing, or a commit made here since, has it; no request a video."""
        return identity in self._known().get(safe_name(video_id), ())

    def _known(self) -> dict[str, set[str]]:
        if self._listing is None:
            self.refresh()
        assert self._listing is not None
        return self._listing

    def _paths(self) -> set[str]:
        return {f"{COMMITS}/{entry.name}" for entry in self._store.list(COMMITS) if commit_of(entry.name)}

    def read(self, path: str) -> Commit:
        """The commit in a file. Raises FileNotFoundError, and InvalidOutput naming an unreadable one."""
        return _from_json(self._store.get(path), self._store.url_of(path))

    def read_all(self) -> list[Commit]:
        """Every committed video once: its newest commit, ordered by safe name.

        Right while a driver commits: what is superseded during the call is replaced by its successor.
        Raises InvalidOutput naming an unreadable commit.
        """
        commits: dict[str, Commit] = {}
        paths = self._paths()
        with ThreadPoolExecutor(_PARALLEL_READS) as pool:
            while unread := sorted(paths - commits.keys()):
                read = zip(unread, pool.map(self._read_if_there, unread), strict=True)
                commits.update((path, commit) for path, commit in read if commit)
                if not commits.keys() >= paths:
                    paths = self._paths()
        return _newest(commits[path] for path in paths)

    def _read_if_there(self, path: str) -> Commit | None:
        try:
            return self.read(path)
        except FileNotFoundError:
            return None

    def current(self) -> dict[str, str]:
        """Identity by safe name of every committed video, as `is_committed` knows them.

        Reads commits only where a video has several.
        """
        return {safe: self._current(safe, identities) for safe, identities in self._known().items()}

    def _current(self, safe: str, identities: set[str]) -> str:
        if len(identities) == 1:
            return next(iter(identities))
        return _newest(self.read(commit_path(safe, one)) for one in identities)[0].identity


def _by_video(paths: Iterable[str]) -> dict[str, set[str]]:
    videos = defaultdict(set)
    for path in paths:
        if found := commit_of(path.removeprefix(f"{COMMITS}/")):
            videos[found[0]].add(found[1])
    return dict(videos)


def _newest(commits: Iterable[Commit]) -> list[Commit]:
    by_age = sorted(commits, key=lambda commit: commit.committed_at)
    newest = {safe_name(commit.video_id): commit for commit in by_age}
    return [newest[safe] for safe in sorted(newest)]


def _check(commit: Commit) -> None:
    to_table("videos", [commit.video])
    if (commit.video["video_id"], commit.video["identity"]) != (commit.video_id, commit.identity):
        raise ValueError(f"commit of {commit.video_id}: its row of videos is another video's or identity's")


def _to_json(commit: Commit) -> bytes:
    return json_bytes({"schema_version": SCHEMA_VERSION, **asdict(commit)})


def _from_json(data: bytes, url: str) -> Commit:
    try:
        content = json.loads(data)
        refuse_newer(content["schema_version"], url)
        files = {table: FileRecord(**record) for table, record in content["files"].items()}
        commit = Commit(video_id=content["video_id"], identity=content["identity"], files=files, video=content["video"])
        _check(commit)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        advice = "delete this file and run again: its video is then segmented again"
        raise InvalidOutput(f"commit {url} cannot be read ({error}); {advice}") from error
    return commit
