"""Folders on the local disk for files on their way; those of processes that were killed go with the next process."""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Self

_PREFIX = "vos-batch-"
_LOCK = ".vos-batch-scratch"


class Scratch:
    """A folder of this process, for the time of the context or until `remove`.

    It holds a locked file. The lock ends with the process, however that ends, and tells others whether it lives.
    """

    def __init__(self) -> None:
        """Raises OSError when the disk fails."""
        _remove_abandoned(tempfile.gettempdir())
        self._lock: int | None = None
        while self._lock is None:  # somebody who tidies up may take a new folder for an abandoned one
            self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
            self._lock = _hold(self.folder)

    def remove(self) -> None:
        """Remove it with all that is in it; further calls do nothing."""
        if self._lock is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


def _hold(folder: Path) -> int | None:
    """The locked file of a new folder; None where it was removed meanwhile."""
    try:
        file = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:
        return None
    if _locked(file) and (folder / _LOCK).exists():
        return file
    os.close(file)
    return None


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@lru_cache
def _remove_abandoned(where: str) -> None:
    """Once a process: whoever is killed later is followed by another process."""
    for folder in Path(where).glob(f"{_PREFIX}*"):
        with suppress(OSError):  # another user's, or removed by somebody else
            _remove_if_abandoned(folder)


def _remove_if_abandoned(folder: Path) -> None:
    try:
        file = os.open(folder / _LOCK, os.O_RDWR)
    except FileNotFoundError:
        folder.rmdir()  # an empty one, of a process that was killed right here; any other is not ours
        return
    try:
        if _locked(file):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(file)
