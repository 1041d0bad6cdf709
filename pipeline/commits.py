"""What is complete (design 8): a video is done when the driver has created its commit, and only then.

A commit is a small JSON file, created conditionally, that lists the video's files and carries its row of
`videos`; that table can be rebuilt from the commits at any time.
"""

import hashlib
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InvalidOutput, StoreUnavailable
from pipeline.manifest import VideoTask
from pipeline.schema import SCHEMA_VERSION, to_table
from pipeline.storage import Store
from pipeline.writer import FileRecord, safe_name

RESULT_VERSION = 1
"""Raised by hand when the same input and settings give other masks than before."""

MARKER = "_vos-batch.json"
_COMMITS = "_commits"
_PARALLEL_READS = 16
_LISTINGS = 10
"""How often a reader lists again when a driver has removed what was listed."""


def identity(task_inputs: Mapping[str, object]) -> str:
    """32 hex digits of the sha256 of the inputs as canonical JSON (sorted keys, UTF-8, no NaN).

    Raises ValueError for NaN or infinity and TypeError for what JSON cannot hold.
    """
    text = json.dumps(task_inputs, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def video_identity(
    task: VideoTask,
    *,
    video_fingerprint: str,
    mask_fingerprints: Sequence[str],
    checkpoint_fingerprint: str,
    settings: Mapping[str, object],
) -> str:
    """The identity of a video's result: everything that can change a mask and nothing else (design 8).

    `mask_fingerprints` belong to `task.prompts` one by one; `settings` holds those settings that can change a
    mask. Raises ValueError when there are not as many fingerprints as prompts.
    """
    prompts = [
        [prompt.frame_index, prompt.object_ids, fingerprint]
        for prompt, fingerprint in zip(task.prompts, mask_fingerprints, strict=True)
    ]
    return identity(
        {
            "result_version": RESULT_VERSION,
            "video": video_fingerprint,
            "video_uri": task.video_uri,
            "start_frame": task.start_frame,
            "end_frame": task.end_frame,
            "prompts": prompts,
            "checkpoint": checkpoint_fingerprint,
            "settings": settings,
        }
    )


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
    def name(self) -> str:
        """File name of this commit."""
        return commit_name(safe_name(self.video_id), self.identity)

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
        created = self._store.create(commit.name, _to_json(commit))
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
            self.supersede(self.read(commit_name(safe, kept)))

    def supersede(self, current: Commit) -> None:
        """Delete the other commits of the same video, then those of their files that `current` does not list."""
        safe = safe_name(current.video_id)
        identities = self._known()[safe]
        for old in identities - {current.identity}:
            self._remove(commit_name(safe, old), keep={record.path for record in current.files.values()})
            identities.discard(old)

    def _remove(self, name: str, keep: set[str]) -> None:
        old = self.read(name)
        # Readers follow commits: none of them may list a file that is gone.
        self._store.delete(name)
        for record in old.files.values():
            if record.path not in keep:
                self._store.delete(record.path)

    def committed(self) -> dict[str, set[str]]:
        """Identities by safe name of the video, from one listing made now."""
        self._listing = _by_video(self._names())
        return {safe: set(identities) for safe, identities in self._listing.items()}

    def is_committed(self, video_id: str, identity: str) -> bool:
        """Whether the last listing, or a commit made here since, has it; no request a video."""
        return identity in self._known().get(safe_name(video_id), ())

    def _known(self) -> dict[str, set[str]]:
        if self._listing is None:
            self._listing = _by_video(self._names())
        return self._listing

    def _names(self) -> set[str]:
        entries = self._store.list(_COMMITS)
        return {f"{_COMMITS}/{entry.name}" for entry in entries if entry.name.endswith(".json")}

    def read(self, name: str) -> Commit:
        """The commit in file `name`. Raises FileNotFoundError, and InvalidOutput naming an unreadable one."""
        return _from_json(self._store.get(name), self._store.url_of(name))

    def read_all(self) -> list[Commit]:
        """Every committed video once: its newest commit, ordered by safe name.

        Right while a driver commits: what is superseded during the call is replaced by its successor.
        Raises InvalidOutput naming an unreadable commit.
        """
        commits: dict[str, Commit] = {}
        names = self._names()
        with ThreadPoolExecutor(_PARALLEL_READS) as pool:
            while unread := sorted(names - commits.keys()):
                read = zip(unread, pool.map(self._read_if_there, unread), strict=True)
                commits.update((name, commit) for name, commit in read if commit)
                if not commits.keys() >= names:
                    names = self._names()
        return _newest(commits[name] for name in names)

    def _read_if_there(self, name: str) -> Commit | None:
        try:
            return self.read(name)
        except FileNotFoundError:
            return None

    def video_rows(self) -> pa.Table:
        """The row of `videos` of every committed video, right while a driver commits.

        Read from the files of that table, and from the commits that stand in none of them yet: few requests, however
        many videos there are. Raises InvalidOutput naming an unreadable file, StoreUnavailable.
        """
        for _ in range(_LISTINGS):
            self.committed()
            with suppress(FileNotFoundError):  # superseded or tidied up since it was listed: list again
                return self._video_rows(set(self.current().items()))
        raise StoreUnavailable(f"{self._store.url_of(_COMMITS)} lists files that cannot be found: try again")

    def _video_rows(self, missing: set[tuple[str, str]]) -> pa.Table:
        parts = []
        with ThreadPoolExecutor(_PARALLEL_READS) as pool:
            paths = [f"videos/{entry.name}" for entry in self._store.list("videos")]
            for table in pool.map(lambda path: _read_videos(self._store, path), paths):
                rank = _rank(table, missing)
                missing = missing - rank.keys()
                parts.append(table.take(list(rank.values())))
            commits = pool.map(self.read, [commit_name(*video) for video in sorted(missing)])
            rows = to_table("videos", [commit.video for commit in commits])
        return pa.concat_tables([rows, *parts])

    def current(self) -> dict[str, str]:
        """Identity by safe name of every committed video, as `is_committed` knows them.

        Reads commits only where a video has several.
        """
        return {safe: self._current(safe, identities) for safe, identities in self._known().items()}

    def _current(self, safe: str, identities: set[str]) -> str:
        if len(identities) == 1:
            return next(iter(identities))
        return _newest(self.read(commit_name(safe, one)) for one in identities)[0].identity


def commit_name(safe: str, identity: str) -> str:
    """Name below OUTPUT of the commit of the video with this `safe_name`."""
    return f"{_COMMITS}/{safe}.{identity}.json"


def _by_video(names: Iterable[str]) -> dict[str, set[str]]:
    videos = defaultdict(set)
    for name in names:
        safe, identity = name.removeprefix(f"{_COMMITS}/").removesuffix(".json").rsplit(".", 1)
        videos[safe].add(identity)
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
    return _json_bytes({"schema_version": SCHEMA_VERSION, **asdict(commit)})


def _json_bytes(content: Mapping[str, object]) -> bytes:
    return (json.dumps(content, sort_keys=True, indent=2, allow_nan=False) + "\n").encode()


def _from_json(data: bytes, url: str) -> Commit:
    try:
        content = json.loads(data)
        _refuse_newer(content["schema_version"], url)
        files = {table: FileRecord(**record) for table, record in content["files"].items()}
        commit = Commit(video_id=content["video_id"], identity=content["identity"], files=files, video=content["video"])
        _check(commit)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        advice = "delete this file and run again: its video is then segmented again"
        raise InvalidOutput(f"commit {url} cannot be read ({error}); {advice}") from error
    return commit


def _refuse_newer(version: int, url: str) -> None:
    if version > SCHEMA_VERSION:
        raise InvalidOutput(
            f"{url} has schema version {version}, this vos-batch reads up to {SCHEMA_VERSION}: "
            "install a newer vos-batch or choose another OUTPUT"
        )


def claim_output(store: Store) -> None:
    """Make an empty or missing folder ours by its marker; one of ours passes.

    Raises InvalidOutput for a folder of something else and for an output of a newer schema version.
    """
    names = [entry.name for entry in store.list()]
    if MARKER not in names:
        _refuse_foreign(store, names)
        store.create(MARKER, _json_bytes({"format": "vos-batch", "schema_version": SCHEMA_VERSION}))
    check_output(store)


def _refuse_foreign(store: Store, names: Sequence[str]) -> None:
    if names:
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        raise InvalidOutput(
            f"{store.url} is not empty and was not written by vos-batch (it holds {shown}): "
            "choose an empty or new folder as OUTPUT"
        )


def check_output(store: Store) -> None:
    """Raise InvalidOutput unless the folder is ours and of a schema version that we read."""
    url = store.url_of(MARKER)
    try:
        marker = json.loads(store.get(MARKER))
        if marker["format"] != "vos-batch":
            raise ValueError(f"format is {marker['format']!r}")
        _refuse_newer(marker["schema_version"], url)
    except FileNotFoundError as error:
        raise InvalidOutput(
            f"no vos-batch output at {store.url} (it has no {MARKER}): check the path, "
            "or write one with `vos-batch segment`"
        ) from error
    except (ValueError, TypeError, LookupError) as error:
        raise InvalidOutput(f"{url} is no marker of vos-batch ({error}): choose another folder as OUTPUT") from error


def write_rows(store: Store, table: str, name: str, rows: Iterable[Mapping[str, object]]) -> None:
    """Put rows as `<table>/<name>.parquet`; ValueError when they do not fit the table."""
    _put_table(store, f"{table}/{name}.parquet", to_table(table, rows))


def _put_table(store: Store, path: str, table: pa.Table) -> None:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    store.put(path, buffer.getvalue())


def sync_videos(store: Store, log: CommitLog | None = None) -> None:
    """Make the files of `videos` hold exactly one row per committed video; for the driver alone.

    Files with stale or repeated rows are rewritten without them or deleted; what is missing becomes one new
    file. Reads the table and only those commits that are missing in it, which `log` (None: a listing made now) knows.
    """
    log = log or CommitLog(store)
    missing = set(log.current().items())
    for entry in store.list("videos"):
        missing -= _keep(store, f"videos/{entry.name}", missing)
    if missing:
        commits = [log.read(commit_name(*video)) for video in sorted(missing)]
        # No two files have this name: what is missing now stands in no file.
        name = identity({"commits": [commit.name for commit in commits]})
        write_rows(store, "videos", name, [commit.video for commit in commits])


def _keep(store: Store, path: str, wanted: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Reduce a file of `videos` to its wanted rows; what these are."""
    table = _read_videos(store, path)
    rank = _rank(table, wanted)
    if not rank:
        store.delete(path)
    elif len(rank) < table.num_rows:
        _put_table(store, path, table.take(sorted(rank.values())))
    return set(rank)


def _rank(table: pa.Table, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Where the wanted rows stand in a table of videos."""
    rows = zip(map(safe_name, table["video_id"].to_pylist()), table["identity"].to_pylist(), strict=True)
    return {row: index for index, row in enumerate(rows) if row in wanted}


def _read_videos(store: Store, path: str) -> pa.Table:
    try:
        # Not a Python file: a thread of Arrow may let go of it while the interpreter exits, and abort.
        return pq.read_table(pa.BufferReader(store.get(path)))
    except pa.ArrowInvalid as error:
        raise InvalidOutput(
            f"{store.url_of(path)} cannot be read ({error}); delete this file and run again: "
            "it is rebuilt from the commits"
        ) from error
