"""Stores that answer as Google's and Azure's clients do (gcsfs 2026.10, adlfs 2026.8): the same fields, types,
signatures and memory of listings, over a dictionary.

The real ones need a server that speaks their protocol; what they tell of a file is what the pipeline depends on.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from fsspec.asyn import AsyncFileSystem
from fsspec.registry import _registry

from pipeline.storage import backends


@dataclass(frozen=True)
class Blob:
    """A stored object."""

    data: bytes
    generation: int
    written: datetime


class _Shaped(AsyncFileSystem):
    """Common to both; a subclass says what it tells."""

    blobs: ClassVar[dict[str, Blob]] = {}
    """By container and name; of all instances, as a server has them."""
    hidden: ClassVar[set[str]] = set()
    """Fields that are not told."""
    generation = 1_716_000_000_000_000
    cachable = False

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.partition("://")[2] if "://" in path else path.lstrip("/")

    def _file(self, name: str, blob: Blob) -> dict[str, Any]:
        raise NotImplementedError

    def _folder(self, name: str) -> dict[str, Any]:
        raise NotImplementedError

    def _told(self, info: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in info.items() if key not in self.hidden}

    async def _list(self, path: str) -> list[dict[str, Any]]:
        path = self._strip_protocol(path).rstrip("/")
        if (known := self._ls_from_cache(path)) is not None:
            return known
        found = {}
        for name, blob in self.blobs.items():
            if name == path:
                found[name] = self._told(self._file(name, blob))
            elif name.startswith(f"{path}/"):
                first, _, deeper = name.removeprefix(f"{path}/").partition("/")
                inner = f"{path}/{first}" if first else path  # a marker of the folder itself
                found[inner] = self._folder(inner) if deeper or not first else self._told(self._file(name, blob))
        if not found:
            raise FileNotFoundError(path)
        self.dircache[path] = list(found.values())
        return list(found.values())

    async def _describe(self, path: str) -> dict[str, Any]:
        path = self._strip_protocol(path).rstrip("/")
        if path in self.blobs:
            return self._told(self._file(path, self.blobs[path]))
        await self._list(path)
        return self._folder(path)

    def _write(self, path: str, data: bytes, mode: str) -> None:
        path = self._strip_protocol(path)
        if mode == "create" and path in self.blobs:
            raise FileExistsError(path)
        _Shaped.generation += 1
        self.blobs[path] = Blob(bytes(data), self.generation, datetime.now(UTC))

    async def _cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        try:
            return self.blobs[self._strip_protocol(path)].data[start:end]
        except KeyError:
            raise FileNotFoundError(path) from None

    async def _rm_file(self, path: str, **kwargs: Any) -> None:
        if self.blobs.pop(self._strip_protocol(path), None) is None:
            raise FileNotFoundError(path)


class Google(_Shaped):
    """gs:// as of gcsfs."""

    protocol = ("gs", "gcs")
    blobs: ClassVar[dict[str, Blob]] = {}
    hidden: ClassVar[set[str]] = set()

    def _file(self, name: str, blob: Blob) -> dict[str, Any]:
        bucket, _, key = name.partition("/")
        when = blob.written.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        time = datetime.fromisoformat(when)
        return {
            "kind": "storage#object",
            "id": f"{name}/{blob.generation}",
            "selfLink": f"https://www.googleapis.com/storage/v1/b/{bucket}/o/{key}",
            "mediaLink": f"https://storage.googleapis.com/download/storage/v1/b/{bucket}/o/{key}?alt=media",
            "name": name,
            "bucket": bucket,
            "generation": str(blob.generation),
            "metageneration": "1",
            "contentType": "application/octet-stream",
            "storageClass": "STANDARD",
            "size": len(blob.data),
            "md5Hash": base64.b64encode(hashlib.md5(blob.data).digest()).decode(),
            "crc32c": "yZRlqg==",
            "etag": base64.b64encode(f"{blob.generation}/1".encode()).decode(),
            "timeCreated": when,
            "updated": when,
            "timeStorageClassUpdated": when,
            "type": "file",
            "mtime": time,
            "ctime": time,
        }

    def _folder(self, name: str) -> dict[str, Any]:
        bucket = name.partition("/")[0]
        return {"bucket": bucket, "name": name, "size": 0, "storageClass": "DIRECTORY", "type": "directory"}

    async def _ls(
        self,
        path: str,
        detail: bool = False,
        prefix: str = "",
        versions: bool = False,
        refresh: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        found = await self._list(path)
        return found if detail else [info["name"] for info in found]

    async def _info(self, path: str, generation: str | None = None, **kwargs: Any) -> dict[str, Any]:
        return await self._describe(path)

    async def _pipe_file(
        self,
        path: str,
        data: bytes,
        metadata: Mapping[str, str] | None = None,
        consistency: str | None = None,
        content_type: str = "application/octet-stream",
        fixed_key_metadata: Mapping[str, str] | None = None,
        chunksize: int = 50 * 2**20,
        mode: str = "overwrite",
    ) -> None:
        self._write(path, data, mode)


class _ContentSettings:
    """As of azure.storage.blob."""

    def __init__(self, data: bytes) -> None:
        self.content_type = "application/octet-stream"
        self.content_encoding = None
        self.content_language = None
        self.content_md5 = bytearray(hashlib.md5(data).digest())
        self.content_disposition = None
        self.cache_control = None


class Azure(_Shaped):
    """az:// as of adlfs."""

    protocol = ("abfs", "az", "abfss")
    blobs: ClassVar[dict[str, Blob]] = {}
    hidden: ClassVar[set[str]] = set()

    def _file(self, name: str, blob: Blob) -> dict[str, Any]:
        time = blob.written.replace(microsecond=0)  # of HTTP, in whole seconds
        return {
            "metadata": {"is_directory": "false"},
            "creation_time": time,
            "deleted": None,
            "deleted_time": None,
            "last_modified": time,
            "content_settings": _ContentSettings(blob.data),
            "remaining_retention_days": None,
            "archive_status": None,
            "last_accessed_on": None,
            "etag": f'"0x{blob.generation:X}"',
            "tags": None,
            "tag_count": None,
            "name": name,
            "size": len(blob.data),
            "type": "file",
        }

    def _folder(self, name: str) -> dict[str, Any]:
        return {"name": name, "size": None, "type": "directory"}

    async def _ls(
        self,
        path: str,
        detail: bool = False,
        invalidate_cache: bool = False,
        delimiter: str = "/",
        return_glob: bool = False,
        version_id: str | None = None,
        versions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        found = await self._list(path)
        return found if detail else [info["name"] for info in found]

    async def _info(self, path: str, refresh: bool = False, **kwargs: Any) -> dict[str, Any]:
        return await self._describe(path)

    async def _pipe_file(
        self, path: str, value: bytes, overwrite: bool = True, max_concurrency: int | None = None, **kwargs: Any
    ) -> None:
        mode = kwargs.pop("mode", "")
        assert not kwargs, "the real one hands these on to the server's client"
        self._write(path, value, mode)


@contextmanager
def installed() -> Iterator[None]:
    """Both, empty, for the time of the context."""
    with pytest.MonkeyPatch.context() as patch:
        for kind in (Google, Azure):
            kind.blobs.clear()
            kind.hidden.clear()
            for protocol in kind.protocol:
                patch.setitem(_registry, protocol, kind)
        backends._connect.cache_clear()
        yield
    backends._connect.cache_clear()
