"""Where a manifest comes from, and what it may name: one from a store is somebody else's word about this machine."""

from dataclasses import dataclass

from pipeline.errors import InvalidInput
from pipeline.storage.urls import resolve, split_url

_OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss")
_HTTP = ("http", "https")


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """What a manifest from a store may name besides object stores and its own store."""

    local: bool = False
    """Files of the machines that read it."""
    http: bool = False
    """Whatever these machines reach over HTTP."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The folder of a manifest."""

    url: str
    """Absolute."""
    allowed: Allowed

    def resolve(self, uri: str) -> str:
        """The absolute URL of what the manifest names; relative ones start at its folder.

        Raises InvalidInput for what it may not name, with the option that allows it, and for credentials.
        """
        url = resolve(uri, self.url)
        protocol = split_url(url)[0]
        if self._is_own(url) or protocol in _OBJECT_STORES or split_url(self.url)[0] == "file":
            return url
        if protocol == "file" and not self.allowed.local:
            raise InvalidInput(f"{url} is on this machine, the manifest is not: allow it with --allow-local")
        if protocol in _HTTP and not self.allowed.http:
            raise InvalidInput(f"{url} is not in the manifest's store: allow it with --allow-http")
        if protocol not in ("file", *_HTTP):
            raise InvalidInput(f"{url} is not in the manifest's store: name s3://, gs:// or az://")
        return url

    def _is_own(self, url: str) -> bool:
        return _store_of(url) == _store_of(self.url)


def _store_of(url: str) -> tuple[str, str]:
    """Protocol, and bucket or host where there is one."""
    protocol, path = split_url(url)
    return protocol, "" if protocol in ("file", "memory") else path.partition("/")[0]
