"""Commits without a run."""

from pipeline.output.commits import Commit, FileRecord, create_commit
from pipeline.output.layout import ROW_TABLES, safe_name
from pipeline.storage.store import Store

_BYTES = 10


def make_commit(
    video_id: str, identity: str = "a" * 32, *, attempt: str = "1", minute: int = 0, driver: int = 1
) -> Commit:
    """A commit made at 03:`minute`; the attempt names its files and its run."""
    files = {
        table: FileRecord(
            path=f"{table}/{safe_name(video_id)}-{attempt}.parquet", rows=2, bytes=_BYTES, sha256="0" * 64
        )
        for table in ROW_TABLES
    }
    video = {
        "video_id": video_id,
        "status": "complete",
        "needs_prompt_frame": None,
        "frames_expected": 2,
        "frames_decoded": 2,
        "width": 8,
        "height": 6,
        "fps": 25.0,
        "rotation": 0,
        "codec": "h264",
        "objects": [1, 3],
        "attempts": 1,
        "smaller_blocks": False,
        "resumed_from": None,
        "seconds_decode": 0.1,
        "seconds_network": 0.2,
        "seconds_write": 0.3,
        "seconds_total": 0.7,
        "gpu": None,
        "host": "h",
        "checkpoint": "c" * 16,
        "identity": identity,
        "code_version": "0.1.0",
        "committed_at": f"2026-01-02T03:{minute:02}:00+00:00",
        "run_id": f"run-{attempt}",
        "bad_packets": 0,
    }
    return Commit(video_id=video_id, identity=identity, files=files, video=video, driver=driver)


def put_files(store: Store, commit: Commit) -> Commit:
    """Something of the right size under the names of its files."""
    for record in commit.files.values():
        store.put(record.path, bytes(record.bytes))
    return commit


def put_commit(store: Store, commit: Commit) -> Commit:
    """Its files and itself."""
    assert create_commit(store, put_files(store, commit))
    return commit
