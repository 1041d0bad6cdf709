"""Files on any object store, through fsspec: whole-file writes, conditional creates, listings, fingerprints.

Works on file://, memory:// and s3:// (and on what else fsspec can list). No value here holds a connection:
filesystems are opened where they are used, once per process, so everything can be pickled. What fails for the
moment (throttling, timeouts, lost connections) is asked again for a while. Failures come out as the tree of
`pipeline.errors`, except a missing file, which stays FileNotFoundError because only the caller knows what the
file was for.
"""

import errno
import hashlib
import io
import os
import posixpath
import re
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, BinaryIO, Protocol, TypeVar, cast

import fsspec

from pipeline.credentials import holds_credentials, without_credentials
from pipeline.errors import InvalidInput, InvalidOutput, PipelineError, StoreUnavailable
from pipeline.retry import Retry

T = TypeVar("T")

RETRY = Retry()
"""For all that is asked of stores; their clients try a few times within two seconds before."""

_BLOCK_BYTES = 8 << 20
_TEMPORARY_PREFIX, _TEMPORARY_SUFFIX = ".vos-batch-", ".tmp"
_MEMORY_LOCK = threading.RLock()

_CLIENTS = {"aiobotocore", "aiohttp", "azure", "botocore", "gcsfs", "google"}
"""Packages whose exceptions are failures of a store."""
_DENIALS = {
    "NoCredentialsError",
    "ParamValidationError",  # a name that no bucket can have
    "PartialCredentialsError",
    "ProfileNotFound",
    "UnauthorizedSSOTokenError",
}
_TRANSIENT = {
    "ClientConnectionError",
    "ClientPayloadError",
    "HTTPClientError",  # of botocore: no connection, no answer in time, an answer that breaks off
    "ResponseParserError",
}
_TRANSIENT_STATUS = {408, 409, 429, 500, 502, 503, 504}
"""Of HTTP; 409 is Amazon's word for conditional writes that met."""


def absolute_url(path_or_url: str) -> str:
    """The URL of a local path or URL, without a trailing slash; local paths become file:// URLs.

    Raises InvalidInput for a URL with credentials inside: it would be stored and shown.
    """
    if holds_credentials(path_or_url):
        raise InvalidInput(
            f"{path_or_url} holds credentials: take them out of the URL and set them in every process's environment "
            "(for S3 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
        )
    protocol, path = _split(path_or_url)
    if protocol == "file":
        return "file://" + os.path.abspath(os.path.expanduser(path))
    return f"{protocol}://{path.strip('/')}"


def resolve(uri: str, base_url: str) -> str:
    """The absolute URL of `uri`: relative ones start at the folder `base_url`, absolute ones stay."""
    if "://" in uri or uri.startswith(("/", "~")):
        return absolute_url(uri)
    protocol, base = _split(absolute_url(base_url))
    if protocol == "file":
        return absolute_url(posixpath.join(base, uri))
    # Dots must not climb out of the bucket: what lies beside it belongs to someone else.
    bucket, _, key = base.partition("/")
    return absolute_url(f"{protocol}://{bucket}{posixpath.normpath(posixpath.join('/', key, uri))}")


def parent_url(url: str) -> str:
    """The URL of the folder that holds `url`; a root or a bucket is its own parent."""
    return _parent(absolute_url(url))


def name_of(url: str) -> str:
    """The last part of a path or URL."""
    return posixpath.basename(_split(absolute_url(url))[1])


def _parent(url: str) -> str:
    """As `parent_url`, of an absolute one."""
    protocol, path = _split(url)
    if protocol not in ("file", "memory") and "/" not in path:
        return f"{protocol}://{path}"
    return f"{protocol}://{posixpath.dirname(path)}"


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
            return _patiently(lambda: self._file.read(size))

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
            with _reading(self.url):
                yield
        except PipelineError as error:
            self.failure = self.failure or error
            raise


def open_url(url: str) -> StoreFile:
    """Open a file for seekable reading. Raises FileNotFoundError, InvalidInput (no permission, a folder),
    StoreUnavailable."""
    url = absolute_url(url)
    with _reading(url):
        return StoreFile(url, _patiently(lambda: _backend(url).open(url)))


def read_url(url: str) -> bytes:
    """The bytes of a file. Raises as `open_url`."""
    url = absolute_url(url)
    with _reading(url):
        return _patiently(lambda: _backend(url).get(url))


def is_folder(url: str) -> bool:
    """Whether `url` is a folder, or a prefix with files. Raises as `open_url`."""
    url = absolute_url(url)
    with _reading(url):
        return _patiently(lambda: _backend(url).is_folder(url))


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of a folder's listing."""

    name: str
    """Relative to the listed folder."""
    size: int
    """Bytes; 0 for folders."""
    fingerprint: str
    """Changes when the file does: ETag and size, on file:// size and mtime in ns; "" for folders."""
    is_folder: bool
    modified_s: float | None = None
    """Seconds since the epoch by the store's clock; None for folders."""


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
        with _writing(url):
            _patiently(lambda: _backend(url).put(url, data))

    def put_file(self, name: str, local_path: str | os.PathLike[str]) -> None:
        """Copy a local file to a name, atomically."""
        url = self.url_of(name)
        with _writing(url):
            _patiently(lambda: _backend(url).put_file(url, os.fspath(local_path)))

    def create(self, name: str, data: bytes) -> bool:
        """Write a file unless it exists: True for exactly one caller however many race.

        A create that is tried again may meet its own success: on a remote store the stored bytes decide, so
        `data` must differ from caller to caller (carry an attempt or run id).
        """
        url = self.url_of(name)
        with _writing(url):
            return _patiently(lambda: _backend(url).create(url, data))

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
        with _writing(url):
            _patiently(lambda: _backend(url).delete(url))


def s3_endpoint() -> tuple[str | None, str]:
    """The server that s3:// means in this process, None for Amazon's own, and the region; no request is made."""
    backend = cast(_S3, _backend("s3://"))
    server, region = backend.endpoint()
    own = re.fullmatch(r"https://s3(\.[\w-]+)?\.amazonaws\.com(\.cn)?", server)
    return None if own else server, region


class Fingerprints:
    """Fingerprints of inputs, from one listing per parent folder however many files are asked for.

    Listings are kept for the life of the object: use a new one for a new run.
    """

    def __init__(self) -> None:
        self._listings: dict[str, dict[str, Entry]] = {}

    def of(self, url: str) -> str:
        """A file's fingerprint, or for a folder the sha256 of its names and fingerprints (one level).

        Raises FileNotFoundError, StoreUnavailable.
        """
        url = absolute_url(url)
        entry = self._entry(url)
        if entry is None:
            raise FileNotFoundError(errno.ENOENT, "no such file or folder", url)
        return self._of_folder(url) if entry.is_folder else entry.fingerprint

    def size_of(self, url: str) -> int:
        """Bytes of a file, or of the files of a folder (one level); 0 for a missing one. Raises StoreUnavailable."""
        url = absolute_url(url)
        entry = self._entry(url)
        if entry is not None and entry.is_folder:
            return sum(inner.size for inner in self._listing(url).values())
        return entry.size if entry else 0

    def _entry(self, url: str) -> Entry | None:
        return self._listing(_parent(url)).get(posixpath.basename(_path(url)))

    def _listing(self, url: str) -> dict[str, Entry]:
        if url not in self._listings:
            self._listings[url] = {entry.name: entry for entry in Store(url).list()}
        return self._listings[url]

    def _of_folder(self, url: str) -> str:
        digest = hashlib.sha256()
        for name, entry in self._listing(url).items():
            digest.update(f"{name}\0{entry.fingerprint}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()


class _Backend(Protocol):
    def open(self, url: str) -> BinaryIO: ...
    def get(self, url: str) -> bytes: ...
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
        return open(_path(url), "rb")

    def get(self, url: str) -> bytes:
        with self.open(url) as file:
            return file.read()

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
            stat = item.stat()
        except FileNotFoundError:  # deleted since it was listed, or a dangling link
            return None
        if item.is_dir():
            return Entry(name=item.name, size=0, fingerprint="", is_folder=True)
        return Entry(
            name=item.name,
            size=stat.st_size,
            fingerprint=f"{stat.st_size}-{stat.st_mtime_ns}",
            is_folder=False,
            modified_s=stat.st_mtime,
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

    def get(self, url: str) -> bytes:
        return cast(bytes, self._filesystem.cat_file(url))

    def put(self, url: str, data: bytes) -> None:
        self._filesystem.pipe_file(url, data)

    def put_file(self, url: str, local_path: str) -> None:
        self._filesystem.put_file(local_path, url)

    def create(self, url: str, data: bytes) -> bool:
        try:
            self._filesystem.pipe_file(url, data, mode="create")
        except Exception as error:
            if not _is_store_error(error) or _is_denied(error):
                raise
            return self._is_ours(url, data, error)
        return True

    def is_folder(self, url: str) -> bool:
        return bool(self._filesystem.info(url)["type"] == "directory")

    def entries(self, url: str) -> Iterator[Entry]:
        own = self._filesystem._strip_protocol(url).rstrip("/")
        for info in self._filesystem.ls(url, detail=True):
            # A listed file names itself, and some tools store a marker object for a folder.
            if info["name"].rstrip("/") != own:
                yield self._entry(info)

    def temporaries(self, url: str) -> Iterator[Entry]:
        return iter(())

    def delete(self, url: str) -> None:
        with suppress(FileNotFoundError):
            self._filesystem.rm_file(url)

    def _is_ours(self, url: str, data: bytes, error: Exception) -> bool:
        # Whatever the refusal was called, what is stored now says who won; nothing stored: it was a failure.
        with suppress(FileNotFoundError):
            return self.get(url) == data
        raise error

    def _entry(self, info: dict[str, Any]) -> Entry:
        name = posixpath.basename(info["name"].rstrip("/"))
        if info["type"] == "directory":
            return Entry(name=name, size=0, fingerprint="", is_folder=True)
        return Entry(
            name=name,
            size=info["size"],
            fingerprint=f"{self._token(info)}-{info['size']}",
            is_folder=False,
            modified_s=_seconds(info.get("LastModified") or info.get("created")),
        )

    def _token(self, info: dict[str, Any]) -> str:
        return str(info.get("ETag") or _seconds(info.get("LastModified") or info.get("created"))).strip('"')


class _S3(_Remote):
    def endpoint(self) -> tuple[str, str]:
        self._filesystem.connect()
        meta = self._filesystem.s3.meta
        return meta.endpoint_url.rstrip("/"), meta.region_name

    def get(self, url: str) -> bytes:
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

    def _token(self, info: dict[str, Any]) -> str:
        return hashlib.sha256(self.get(info["name"])).hexdigest()[:16]


def _split(url: str) -> tuple[str, str]:
    protocol, mark, path = url.partition("://")
    return (protocol.lower(), path) if mark else ("file", url)


def _path(url: str) -> str:
    return _split(url)[1]


def _backend(url: str) -> _Backend:
    protocol = _split(url)[0]
    if protocol == "file":
        return _Local()
    # Credentials and endpoint come from the environment, which tests and long-lived drivers change.
    settings = tuple(sorted(item for item in os.environ.items() if item[0].startswith("AWS_")))
    return _connect(protocol, os.getpid(), settings)


@lru_cache(maxsize=8)
def _connect(protocol: str, _process: int, _settings: tuple[tuple[str, str], ...]) -> _Backend:
    # A stale listings cache would hide what other machines wrote; a client does not survive a fork.
    s3 = protocol in ("s3", "s3a")
    # botocore's own tries, each of them tried again by s3fs, would take more than half a minute.
    once = {"retries": {"total_max_attempts": 1}}
    options = {"use_listings_cache": False, "config_kwargs": once} if s3 else {}
    try:
        filesystem = fsspec.filesystem(protocol, skip_instance_cache=True, **options)
    except (ValueError, ImportError) as error:
        raise InvalidInput(
            f"no store is known for {protocol}:// ({error}): correct the URL, or install the fsspec package for it"
        ) from error
    if protocol == "memory":
        return _Memory(filesystem)
    return _S3(filesystem) if s3 else _Remote(filesystem)


def _is_temporary(name: str) -> bool:
    return name.startswith(_TEMPORARY_PREFIX) and name.endswith(_TEMPORARY_SUFFIX)


def _seconds(moment: datetime | float | None) -> float | None:
    return moment.timestamp() if isinstance(moment, datetime) else moment


def _listing(url: str, scan: Callable[[_Backend, str], Iterator[Entry]]) -> list[Entry]:
    try:
        with _reading(url):
            return _patiently(lambda: sorted(scan(_backend(url), url), key=lambda entry: entry.name))
    except FileNotFoundError:
        return []


def _patiently(action: Callable[[], T]) -> T:
    return RETRY.call(action, _passes_by_itself)


@contextmanager
def _reading(url: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        if _code(error) == "NoSuchBucket":
            raise InvalidInput(f"{url} is in a bucket that does not exist: correct the URL") from error
        raise FileNotFoundError(errno.ENOENT, "no such file or folder", without_credentials(url)) from error
    except IsADirectoryError as error:
        raise InvalidInput(f"{url} is a folder: name a file") from error
    except Exception as error:
        if _is_denied(error):
            raise InvalidInput(f"{url} may not be read ({error}): check permissions and credentials") from error
        _raise_unavailable(url, error)


@contextmanager
def _writing(url: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError) as error:
        raise InvalidOutput(
            f"{url} cannot be written ({error}): check that the bucket exists and no file stands for a folder"
        ) from error
    except Exception as error:
        if _is_denied(error):
            raise InvalidOutput(f"{url} may not be written ({error}): check permissions and credentials") from error
        _raise_unavailable(url, error)


def _raise_unavailable(url: str, error: Exception) -> None:
    if isinstance(error, PipelineError) or not _is_store_error(error):
        raise error
    raise StoreUnavailable(
        f"the store failed at {url} ({type(error).__name__}: {error}): check that it can be reached and is not full, "
        "then start again"
    ) from error


def _is_store_error(error: BaseException) -> bool:
    # By module, so that reading local files does not import the clients of object stores.
    return isinstance(error, OSError) or type(error).__module__.split(".")[0] in _CLIENTS


def _is_denied(error: BaseException) -> bool:
    return (
        isinstance(error, PermissionError)
        or getattr(error, "errno", None) == errno.EROFS
        or _code(error) in ("InvalidToken", "InvalidBucketName")
        or not _DENIALS.isdisjoint(_kinds(error))
    )


def _passes_by_itself(error: BaseException) -> bool:
    """Whether a request that failed so may succeed a little later."""
    if isinstance(error, TimeoutError | ConnectionError) or not _TRANSIENT.isdisjoint(_kinds(error)):
        return True
    return _status(error) in _TRANSIENT_STATUS


def _kinds(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__ if kind.__module__.split(".")[0] in _CLIENTS}


def _code(error: BaseException) -> str | None:
    """S3's own name of an error."""
    return cast(str | None, _response(error).get("Error", {}).get("Code"))


def _status(error: BaseException) -> int | None:
    """The HTTP status of a failed request, as s3fs, aiohttp or gcsfs tell it."""
    status = _response(error).get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status or getattr(error, "status", None) or getattr(error, "code", None)


def _response(error: BaseException) -> dict[str, Any]:
    response = getattr(error.__cause__, "response", None)  # s3fs raises its errors from those of botocore
    return response if isinstance(response, dict) else {}
