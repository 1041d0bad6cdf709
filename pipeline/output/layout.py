"""Where everything lies below OUTPUT (design 7): the only file that spells its folders and file names.

    masks/SAFE-ATTEMPT.parquet      rows of one attempt at a video; so too frames/
    videos/*.parquet                rows of committed videos, of one run or tidied up
    failures/RUN-NNNNN.parquet      rows of failed attempts of a run
    _commits/SAFE.IDENTITY.N.json   what is complete; N is the lease of the driver that says so
    _work/driver.N                  the lease
    _runs/RUN.json                  what a run was told
    _vos-batch.json                 whose folder this is
    overlays/SAFE.mp4, .png         pictures of one video for a person; nothing reads them

SAFE is a video's `safe_name`, ATTEMPT is RUN-NUMBER, RUN a `new_run_id`.
"""

import hashlib
import os
import re
from datetime import UTC, datetime
from typing import NamedTuple

MARKER = "_vos-batch.json"
ROW_TABLES = ("masks", "frames")
"""The tables that workers write, a file an attempt."""
FOLDERS = (*ROW_TABLES, "videos", "failures", "_commits", "_work", "_runs")
"""All folders that hold files."""
COMMITS, RUNS, WORK = "_commits", "_runs", "_work"

_COMMIT_FILE = re.compile(r"(?P<safe>.+-[0-9a-f]{16})\.(?P<identity>[^.]+)(\.(?P<driver>\d+))?\.json")
_ATTEMPT_FILE = re.compile(r"(?P<safe>.+-[0-9a-f]{16})-(?P<run>\d{8}T\d{6}-[0-9a-f]{8})-\d+\.parquet")
_DRIVER = "driver."


def safe_name(video_id: str) -> str:
    """A file name for any id: up to 60 readable characters of it, "-", 16 hex digits of its sha256."""
    # Readers such as pyarrow and Spark skip files whose names begin with "." or "_".
    readable = re.sub(r"[^A-Za-z0-9._-]", "_", video_id).lstrip("._-")[:60] or "video"
    return f"{readable}-{hashlib.sha256(video_id.encode()).hexdigest()[:16]}"


def new_run_id() -> str:
    """UTC time and 8 random hex digits: sortable and unique."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.urandom(4).hex()}"


def attempt_name(run_id: str, number: int) -> str:
    """Unique among all attempts of all runs at one OUTPUT, where run ids are."""
    return f"{run_id}-{number}"


def rows_path(table: str, video_id: str, attempt: str) -> str:
    """Where an attempt's rows of `masks` or `frames` lie."""
    return f"{table}/{safe_name(video_id)}-{attempt}.parquet"


def overlay_path(video_id: str, suffix: str) -> str:
    """Where a picture of a video's result lies that was asked for with it."""
    return f"overlays/{safe_name(video_id)}{suffix}"


class AttemptFile(NamedTuple):
    """What the name of a file of `masks` or `frames` tells."""

    safe: str
    """Safe name of the video."""
    run_id: str


def attempt_of(file_name: str) -> AttemptFile | None:
    """Whose attempt wrote a file; None for a file that no attempt of a run wrote."""
    match = _ATTEMPT_FILE.fullmatch(file_name)
    return AttemptFile(match["safe"], match["run"]) if match else None


def table_path(table: str, name: str) -> str:
    """Where a file of `videos` or `failures` lies."""
    return f"{table}/{name}.parquet"


class CommitFile(NamedTuple):
    """What the name of a commit's file tells."""

    safe: str
    """Safe name of the video."""
    identity: str
    driver: int
    """The number of its driver's lease; 0 for commits of before they had it in their names."""

    @property
    def path(self) -> str:
        """Where it lies."""
        number = f".{self.driver}" if self.driver else ""
        return f"{COMMITS}/{self.safe}.{self.identity}{number}.json"


def commit_of(file_name: str) -> CommitFile | None:
    """The commit in a file of that name; None for another file."""
    match = _COMMIT_FILE.fullmatch(file_name)
    return CommitFile(match["safe"], match["identity"], int(match["driver"] or 0)) if match else None


def run_path(run_id: str) -> str:
    """Where a run's record lies."""
    return f"{RUNS}/{run_id}.json"


def driver_path(number: int) -> str:
    """Where the lease of the driver with this number lies."""
    return f"{WORK}/{_DRIVER}{number}"


def driver_of(file_name: str) -> int | None:
    """The number of a driver's lease; None for another file."""
    number = file_name.removeprefix(_DRIVER)
    return int(number) if file_name.startswith(_DRIVER) and number.isdecimal() else None
