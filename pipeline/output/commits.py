"""What makes a video complete (design 8): its commit, a small JSON file that the driver creates conditionally.

A commit lists the video's files and carries its row of `videos`. Its name holds the number of its driver's lease, so no
two drivers ever write the same commit, and of several commits of a video the one with the highest number is the newest,
whatever any clock says. A commit is never changed; it is deleted when a newer one of its video counts.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime

from pipeline.errors import DamagedOutput
from pipeline.output.layout import ROW_TABLES, CommitFile, safe_name
from pipeline.output.marker import json_bytes, refuse_newer
from pipeline.output.schema import SCHEMA_VERSION, completed, to_table
from pipeline.storage.store import Store


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
    """One finished video. Raises ValueError or OverflowError unless `video` is its row of `videos`."""

    video_id: str
    identity: str
    files: Mapping[str, FileRecord]
    """By table: masks and frames."""
    video: Mapping[str, object]
    """What its row of `videos` says beside the files, as JSON holds it: times are ISO 8601 text."""
    driver: int = 0
    """The number of its driver's lease."""

    def __post_init__(self) -> None:
        to_table("videos", [self.row])
        if (self.video["video_id"], self.video["identity"]) != (self.video_id, self.identity):
            raise ValueError(f"commit of {self.video_id}: its row of videos is another video's or identity's")

    @property
    def paths(self) -> set[str]:
        """Of its files."""
        return {record.path for record in self.files.values()}

    @property
    def file(self) -> CommitFile:
        """What names it."""
        return CommitFile(safe_name(self.video_id), self.identity, self.driver)

    @property
    def path(self) -> str:
        """Name of its file below OUTPUT."""
        return self.file.path

    @property
    def committed_at(self) -> datetime:
        """When the driver committed it, by the driver's clock."""
        return datetime.fromisoformat(str(self.video["committed_at"]))

    @property
    def row(self) -> dict[str, object]:
        """Its row of `videos`."""
        files = {
            f"{table}_{name}": getattr(self.files[table], attribute)
            for table in ROW_TABLES
            for name, attribute in (("file", "path"), ("bytes", "bytes"), ("sha256", "sha256"))
        }
        return {**self.video, **files, "driver": self.driver}


def create_commit(store: Store, commit: Commit) -> bool:
    """Make a video complete; False when this commit stands already.

    Raises InvalidOutput, and StoreUnavailable: then the commit may stand or not, or come to stand later.
    """
    return store.create(commit.path, _to_json(commit))


def restore_commit(store: Store, commit: Commit) -> None:
    """Write a commit anew whose file cannot be read any more. Raises InvalidOutput, StoreUnavailable."""
    store.put(commit.path, _to_json(commit))


def commit_of_row(row: Mapping[str, object], rows: Mapping[str, int]) -> Commit:
    """The commit that a row of `videos` stands for; `rows`: how many its files hold, by table.

    Raises ValueError or TypeError for a row that is none.
    """
    files = {
        table: FileRecord(
            path=str(row[f"{table}_file"]),
            rows=rows[table],
            bytes=int(str(row[f"{table}_bytes"])),
            sha256=str(row[f"{table}_sha256"]),
        )
        for table in ROW_TABLES
    }
    video = {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in _video_columns(row).items()
    }
    return Commit(
        video_id=str(row["video_id"]),
        identity=str(row["identity"]),
        files=files,
        video=video,
        driver=int(str(row["driver"])),
    )


def _video_columns(row: Mapping[str, object]) -> dict[str, object]:
    """A row of `videos` without what a commit says elsewhere."""
    elsewhere = {f"{table}_{what}" for table in ROW_TABLES for what in ("file", "bytes", "sha256")} | {"driver"}
    return {name: value for name, value in row.items() if name not in elsewhere}


def read_commit(store: Store, file: CommitFile) -> Commit:
    """Raises FileNotFoundError, DamagedOutput naming an unreadable one, InvalidOutput for one of a later version."""
    return _from_json(store.get(file.path), file, store.url_of(file.path))


def read_if_whole(store: Store, file: CommitFile) -> Commit | None:
    """None: unreadable, or gone since it was listed. Raises InvalidOutput for one of a later version."""
    with suppress(FileNotFoundError, DamagedOutput):
        return read_commit(store, file)
    return None


def _to_json(commit: Commit) -> bytes:
    return json_bytes({"schema_version": SCHEMA_VERSION, **asdict(commit)})


def _from_json(data: bytes, file: CommitFile, url: str) -> Commit:
    try:
        content = json.loads(data)
        refuse_newer(version := content["schema_version"], url)
        video = content["video"] if version == SCHEMA_VERSION else _video_columns(completed("videos", content["video"]))
        files = {table: FileRecord(**record) for table, record in content["files"].items()}
        commit = Commit(
            video_id=content["video_id"],
            identity=content["identity"],
            files=files,
            video=video,
            driver=content.get("driver", 0),
        )
        if commit.file != file:
            raise ValueError(f"it is the commit {commit.path}")
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        advice = "delete this file and run again: its video is then segmented again"
        raise DamagedOutput(f"commit {url} cannot be read ({error}); {advice}") from error
    return commit
