"""Files on any object store, through fsspec: whole-file writes, conditional creates, listings.

Works on file://, memory:// and s3:// (and on what else fsspec can list). No value here holds a connection:
filesystems are opened where they are used, once per process, so everything can be pickled. What fails for the
moment (throttling, timeouts, lost connections) is asked again for a while. Failures come out as the tree of
`pipeline.errors`, except a missing file, which stays FileNotFoundError because only the caller knows what the
file was for.
"""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from pipeline.errors import InvalidInput, PipelineError
from pipeline.storage.backends import Backend, Entry, backend_of
from pipeline.storage.failures import patiently, reading, writing
from pipeline.storage.urls import absolute_url


class StoreFile(io.RawIOBase):
    """A file being read from a store: seekable, and its failures are remembered.

    A decoder that calls back into Python may lose an exception on its way out: `failure` keeps the first.
    """

    def __init__(self, url: str, file: BinaryIO) -> None:
        super().__init__()
        self.url = url
        self.failure: PipelineError | None = None
        self._file = file

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, all that is left when negative. Raises StoreUnavailable, InvalidInput."""
        with self._remembering():
            return patiently(lambda: self._file.read(size))

    def readinto(self, buffer: Any, /) -> int:
        """Fill a writable buffer; returns the number of bytes. Raises StoreUnavailable, InvalidInput."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to a byte position and return it. Raises OSError or ValueError for one before the start."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The position in bytes."""
        return self._file.tell()

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def close(self) -> None:
        """Close the file; further calls do nothing."""
        if not self.closed:
            self._file.close()
        super().close()

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        try:
            with reading(self.url):
                yield
        except PipelineError as error:
            self.failure = self.failure or error
            raise


def open_url(url: str) -> StoreFile:
    """Open a file for seekable reading. Raises FileNotFoundError, InvalidInput (no permission, a folder, a FIFO or
    device), StoreUnavailable."""
    url = absolute_url(url)
    with reading(url):
        return StoreFile(url, patiently(lambda: backend_of(url).open(url)))


def read_url(url: str, most_bytes: int | None = None) -> bytes:
    """The bytes of a file. Raises as `open_url`, and InvalidInput for one of more than `most_bytes`."""
    url = absolute_url(url)
    with reading(url):
        if most_bytes is None:
            return patiently(lambda: backend_of(url).get(url))
        data = patiently(lambda: backend_of(url).get(url, most_bytes + 1))
    if len(data) > most_bytes:
        raise InvalidInput(f"{url} has more than {most_bytes} bytes, which such a file never needs: check it")
    return data


def is_folder(url: str) -> bool:
    """Whether `url` is a folder, or a prefix with files. Raises as `open_url`."""
    url = absolute_url(url)
    with reading(url):
        return patiently(lambda: backend_of(url).is_folder(url))


class Store:
    """A folder on an object store; names are relative to it, use "/" and never "..".

    Writes are atomic: a reader sees the whole file or none, also when the writer is killed. Temporary files
    of killed writers never show up in `list`. Every method raises StoreUnavailable when the store fails;
    reading methods raise FileNotFoundError and InvalidInput, writing ones InvalidOutput when they may not.
    """

    def __init__(self, url: str) -> None:
        self.url = absolute_url(url)

    def url_of(self, name: str) -> str:
        """The absolute URL of a name; "" is the folder itself. Raises ValueError for ".." and empty parts."""
        if not name:
            return self.url
        if any(part in ("", ".", "..") for part in name.split("/")):
            raise ValueError(f"{name!r} is not a name inside {self.url}: use plain parts joined by '/'")
        return self.url + name if self.url.endswith("/") else f"{self.url}/{name}"

    def open(self, name: str) -> StoreFile:
        """Open a file for seekable reading."""
        return open_url(self.url_of(name))

    def get(self, name: str) -> bytes:
        """The bytes of a file."""
        return read_url(self.url_of(name))

    def put(self, name: str, data: bytes) -> None:
        """Write or replace a file, atomically."""
        url = self.url_of(name)
        with writing(url):
            patiently(lambda: backend_of(url).put(url, data))

    def put_file(self, name: str, local_path: str | os.PathLike[str]) -> None:
        """Copy a local file to a name, atomically."""
        url = self.url_of(name)
        with writing(url):
            patiently(lambda: backend_of(url).put_file(url, os.fspath(local_path)))

    def create(self, name: str, data: bytes) -> bool:
        """Write a file unless it exists: True for exactly one caller however many race.

        A create that is tried again may meet its own success: on a remote store the stored bytes decide, so
        `data` must differ from caller to caller (carry an attempt or run id).
        """
        url = self.url_of(name)
        with writing(url):
            return patiently(lambda: backend_of(url).create(url, data))

    def abandoned(self, folder: str = "") -> list[Entry]:
        """Temporary files of one level, sorted by name: of killed writers, or of writers at work.

        Their `modified_s` tells these apart; `delete` removes them. None on stores that need no such files.
        """
        return _listing(self.url_of(folder), lambda backend, url: backend.temporaries(url))

    def list(self, folder: str = "") -> list[Entry]:
        """The files and folders of one level, sorted by name; empty when the folder is missing."""
        return _listing(self.url_of(folder), lambda backend, url: backend.entries(url))

    def delete(self, name: str) -> None:
        """Delete a file; a missing one is fine."""
        url = self.url_of(name)
        with writing(url):
            patiently(lambda: backend_of(url).delete(url))


def _listing(url: str, scan: Callable[[Backend, str], Iterator[Entry]]) -> list[Entry]:
    try:
        with reading(url):
            return patiently(lambda: sorted(scan(backend_of(url), url), key=lambda entry: entry.name))
    except FileNotFoundError:
        return []
