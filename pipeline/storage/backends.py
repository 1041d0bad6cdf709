"""How each kind of store is asked: local files, S3, memory, and what else fsspec knows.

Errors come out as the store gave them; `pipeline.storage.store` says what they mean.
"""

import hashlib
import io
import mimetypes
import os
import posixpath
import re
import shutil
import stat
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from inspect import signature
from typing import Any, BinaryIO, Protocol, cast
from urllib.parse import urlsplit

import fsspec

from pipeline.errors import InvalidInput
from pipeline.storage.failures import DEADLINE_S, is_denied, is_missing, is_store_error
from pipeline.storage.urls import split_url

_BLOCK_BYTES = 8 << 20
_SLOWEST_BYTES_PER_S = 1 << 18
"""A large file may take longer than a request by so much."""
_LISTING_S = 300.0
"""A listing is many requests, each of which has its own deadline where the client knows one."""
_VERSIONS = ("ETag", "etag", "generation", "md5Hash")
"""What stores call a file's version or checksum: S3, Google and Azure, Google, Google."""
_TIMES = ("LastModified", "last_modified", "updated", "mtime", "created")
"""What they call the time of its last write; text as in RFC 3339, or a time."""
_TEMPORARY_PREFIX, _TEMPORARY_SUFFIX = ".vos-batch-", ".tmp"
_MEMORY_LOCK = threading.RLock()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of a folder's listing."""

    name: str
    """Relative to the listed folder."""
    size: int
    """Bytes; 0 for folders."""
    fingerprint: str
    """Changes when the file does: ETag and size, on file:// size and mtime in ns; "" for folders, and for files of a
    store that tells neither a version nor a time."""
    is_folder: bool
    modified_s: float | None = None
    """Seconds since the epoch by the store's clock; None for folders, and where the store tells none."""


class Backend(Protocol):
    """What `Store` needs of a store; URLs are absolute, a missing file is FileNotFoundError.

    `get` gives the first `most_bytes` of a longer file.
    """

    def open(self, url: str) -> BinaryIO: ...
    def get(self, url: str, most_bytes: int | None = None) -> bytes: ...
    def put(self, url: str, data: bytes) -> None: ...
    def put_file(self, url: str, local_path: str) -> None: ...
    def create(self, url: str, data: bytes) -> bool: ...
    def is_folder(self, url: str) -> bool: ...
    def entries(self, url: str) -> Iterator[Entry]: ...
    def temporaries(self, url: str) -> Iterator[Entry]: ...
    def delete(self, url: str) -> None: ...


class _Local:
    """file://, without fsspec: its listings round mtime and its create is a check followed by a write."""

    def open(self, url: str) -> BinaryIO:
        if kind := _special(_path(url)):
            raise InvalidInput(f"{url} is {kind}, no regular file: name a file")
        return open(_path(url), "rb")

    def get(self, url: str, most_bytes: int | None = None) -> bytes:
        with self.open(url) as file:
            return file.read(-1 if most_bytes is None else most_bytes)

    def put(self, url: str, data: bytes) -> None:
        with self._temporary(url, lambda file: file.write(data)) as temporary:
            os.replace(temporary, _path(url))

    def put_file(self, url: str, local_path: str) -> None:
        with (
            open(local_path, "rb") as source,
            self._temporary(url, lambda file: shutil.copyfileobj(source, file)) as temporary,
        ):
            os.replace(temporary, _path(url))

    def create(self, url: str, data: bytes) -> bool:
        if os.path.lexists(_path(url)):  # the link would say so too, after a write for nothing
            return False
        with self._temporary(url, lambda file: file.write(data)) as temporary:
            try:
                os.link(temporary, _path(url))
            except FileExistsError:
                return False
        return True

    def is_folder(self, url: str) -> bool:
        return os.path.isdir(_path(url)) or not os.stat(_path(url))

    def entries(self, url: str) -> Iterator[Entry]:
        return self._scan(url, temporary=False)

    def temporaries(self, url: str) -> Iterator[Entry]:
        return self._scan(url, temporary=True)

    def delete(self, url: str) -> None:
        with suppress(FileNotFoundError):
            os.remove(_path(url))

    def _scan(self, url: str, *, temporary: bool) -> Iterator[Entry]:
        with os.scandir(_path(url)) as items:
            for item in items:
                if _is_temporary(item.name) is temporary and (entry := self._entry(item)):
                    yield entry

    @staticmethod
    def _entry(item: "os.DirEntry[str]") -> Entry | None:
        try:
            status = item.stat()
        except OSError as error:
            if is_missing(error):  # deleted since it was listed, or a link to nothing or to itself
                return None
            raise
        if item.is_dir():
            return Entry(name=item.name, size=0, fingerprint="", is_folder=True)
        return Entry(
            name=item.name,
            size=status.st_size,
            fingerprint=f"{status.st_size}-{status.st_mtime_ns}",
            is_folder=False,
            modified_s=status.st_mtime,
        )

    @staticmethod
    @contextmanager
    def _temporary(url: str, write: Callable[[BinaryIO], object]) -> Iterator[str]:
        folder = os.path.dirname(_path(url))
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, f"{_TEMPORARY_PREFIX}{uuid.uuid4().hex}{_TEMPORARY_SUFFIX}")
        try:
            with open(path, "xb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            yield path
        finally:
            if os.path.exists(path):
                os.remove(path)


class _Remote:
    """Any fsspec filesystem whose PUT is atomic and whose conditional create is kept, as on S3."""

    def __init__(self, filesystem: Any) -> None:
        self._filesystem = filesystem

    def open(self, url: str) -> BinaryIO:
        return cast(BinaryIO, self._filesystem.open(url, "rb", block_size=_BLOCK_BYTES))

    def get(self, url: str, most_bytes: int | None = None) -> bytes:
        if most_bytes is None:
            return self._whole(url)
        try:
            return cast(bytes, self._filesystem.cat_file(url, end=most_bytes))
        except OSError:
            if self._filesystem.info(url, **self._within())["size"]:
                raise
            return b""  # of which no store gives a range

    def _whole(self, url: str) -> bytes:
        return cast(bytes, self._filesystem.cat_file(url))

    def put(self, url: str, data: bytes) -> None:
        self._filesystem.pipe_file(url, data, **self._described(url), **self._within(len(data)))

    def _described(self, url: str) -> dict[str, str]:
        """What a store is told of a file that is put."""
        return {}

    def put_file(self, url: str, local_path: str) -> None:
        self._filesystem.put_file(local_path, url, **self._within(os.path.getsize(local_path)))

    def create(self, url: str, data: bytes) -> bool:
        try:
            self._filesystem.pipe_file(url, data, mode="create", **self._within(len(data)))
        except Exception as error:
            if not is_store_error(error) or is_denied(error):
                raise
            return self._is_ours(url, data, error)
        return True

    def _within(self, size: int = 0) -> dict[str, float]:
        """A deadline for a request with so many bytes; a client without one of its own blocks no event loop."""
        if not getattr(self._filesystem, "async_impl", False):
            return {}
        return {"timeout": DEADLINE_S + size / _SLOWEST_BYTES_PER_S}

    def is_folder(self, url: str) -> bool:
        return bool(self._filesystem.info(url, **self._within())["type"] == "directory")

    def entries(self, url: str) -> Iterator[Entry]:
        own = self._filesystem._strip_protocol(url).rstrip("/")
        for info in self._filesystem.ls(url, detail=True, **self._within(int(_LISTING_S * _SLOWEST_BYTES_PER_S))):
            # A listed file names itself, and some tools store a marker object for a folder.
            if info["name"].rstrip("/") != own:
                yield self._entry(info)

    def temporaries(self, url: str) -> Iterator[Entry]:
        return iter(())

    def delete(self, url: str) -> None:
        with suppress(FileNotFoundError):
            self._filesystem.rm_file(url, **self._within())

    def _is_ours(self, url: str, data: bytes, error: Exception) -> bool:
        # Whatever the refusal was called, what is stored now says who won; nothing stored: it was a failure.
        with suppress(FileNotFoundError):
            return self.get(url) == data
        raise error

    def _entry(self, info: dict[str, Any]) -> Entry:
        name = posixpath.basename(info["name"].rstrip("/"))
        if info["type"] == "directory":
            return Entry(name=name, size=0, fingerprint="", is_folder=True)
        modified_s = _seconds(next((info[key] for key in _TIMES if info.get(key)), None))
        version = self._version(info) or modified_s
        return Entry(
            name=name,
            size=info["size"],
            fingerprint="" if version is None else f"{version}-{info['size']}",
            is_folder=False,
            modified_s=modified_s,
        )

    def _version(self, info: dict[str, Any]) -> str | None:
        found = next((info[key] for key in _VERSIONS if info.get(key)), None)
        if found is None and (checksum := getattr(info.get("content_settings"), "content_md5", None)):
            return bytes(checksum).hex()  # Azure's
        return None if found is None else str(found).strip('"')


class _S3(_Remote):
    def _described(self, url: str) -> dict[str, str]:
        # A browser shows pages of which the store says that they are pages, and saves the others as files. Whole files
        # are described by s3fs.
        kind, _ = mimetypes.guess_type(posixpath.basename(url))
        return {} if kind is None else {"ContentType": kind}

    def endpoint(self) -> tuple[str, str]:
        self._filesystem.connect()
        meta = self._filesystem.s3.meta
        return meta.endpoint_url.rstrip("/"), meta.region_name

    def _whole(self, url: str) -> bytes:
        # With more than one at a time s3fs asks for the size before every read.
        return cast(bytes, self._filesystem.cat_file(url, max_concurrency=1))


class _Memory(_Remote):
    """memory://: one process, whose threads share file positions and whose create is not one step."""

    def open(self, url: str) -> BinaryIO:
        return io.BytesIO(self.get(url))

    def put(self, url: str, data: bytes) -> None:
        with _MEMORY_LOCK:
            super().put(url, data)

    def put_file(self, url: str, local_path: str) -> None:
        with open(local_path, "rb") as file:
            self.put(url, file.read())

    def create(self, url: str, data: bytes) -> bool:
        with _MEMORY_LOCK:
            if self._filesystem.exists(url):
                return False
            self.put(url, data)
        return True

    def entries(self, url: str) -> Iterator[Entry]:
        with _MEMORY_LOCK:
            return iter(list(super().entries(url)))

    def _version(self, info: dict[str, Any]) -> str:
        return hashlib.sha256(self.get(info["name"])).hexdigest()[:16]


def _special(path: str) -> str:
    """What it is besides a file or folder; looked up, for opening a FIFO waits for its writer."""
    with suppress(OSError):  # opening says it better
        mode = os.stat(path).st_mode
        kinds = {"a FIFO": stat.S_ISFIFO, "a socket": stat.S_ISSOCK, "a device": _is_device}
        return next((kind for kind, holds in kinds.items() if holds(mode)), "")
    return ""


def _is_device(mode: int) -> bool:
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode)


def _path(url: str) -> str:
    return split_url(url)[1]


def backend_of(url: str) -> Backend:
    """Raises InvalidInput where fsspec knows no such store, and for a web address that names no host."""
    protocol = split_url(url)[0]
    if protocol in ("http", "https"):
        _check_host(url)
    if protocol == "file":
        return _Local()
    # Credentials and endpoint come from the environment, which tests and long-lived drivers change.
    settings = tuple(sorted(item for item in os.environ.items() if item[0].startswith("AWS_")))
    return _connect(protocol, os.getpid(), settings)


def _check_host(url: str) -> None:
    try:
        _ = urlsplit(url).port  # tells a wrong one when it is asked for
    except ValueError as error:
        raise InvalidInput(f"{url} names no server ({error}): correct the URL") from error


def s3_endpoint() -> tuple[str | None, str]:
    """The server that s3:// means in this process, None for Amazon's own, and the region; no request is made."""
    backend = cast(_S3, backend_of("s3://"))
    server, region = backend.endpoint()
    own = re.fullmatch(r"https://s3(\.[\w-]+)?\.amazonaws\.com(\.cn)?", server)
    return None if own else server, region


@lru_cache(maxsize=8)
def _connect(protocol: str, _process: int, _settings: tuple[tuple[str, str], ...]) -> Backend:
    # A stale listings cache would hide what other machines wrote; a client does not survive a fork.
    s3 = protocol in ("s3", "s3a")
    # botocore's own tries, each of them tried again by s3fs, would take more than half a minute.
    once = {"retries": {"total_max_attempts": 1}, "connect_timeout": 10, "read_timeout": int(DEADLINE_S)}
    options = {"config_kwargs": once} if s3 else {}
    try:
        # Before one is half made, whose end would complain on the terminal.
        signature(fsspec.get_filesystem_class(protocol).__init__).bind(None, **options)
        filesystem = fsspec.filesystem(protocol, skip_instance_cache=True, use_listings_cache=False, **options)
    except (ValueError, ImportError, TypeError) as error:  # TypeError: it needs more than a URL
        raise InvalidInput(
            f"no store is known for {protocol}:// ({error}): correct the URL, or install the fsspec package for it"
        ) from error
    if protocol == "memory":
        return _Memory(filesystem)
    if not s3:
        return _Remote(filesystem)
    filesystem.retries = 1  # a silent server would cost 25 deadlines a read: five tries, each of them made five times
    return _S3(filesystem)


def _is_temporary(name: str) -> bool:
    return name.startswith(_TEMPORARY_PREFIX) and name.endswith(_TEMPORARY_SUFFIX)


def _seconds(moment: datetime | float | str | None) -> float | None:
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return moment.timestamp() if isinstance(moment, datetime) else moment
