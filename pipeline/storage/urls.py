"""URLs of stores and local paths: made absolute, joined, taken apart."""

import os
import posixpath

from pipeline.credentials import holds_credentials
from pipeline.errors import InvalidInput


def absolute_url(path_or_url: str) -> str:
    """The URL of a local path or URL, without a trailing slash; local paths become file:// URLs.

    Raises InvalidInput for a URL with credentials inside, which would be stored and shown, and for one with a zero
    character, which no system takes.
    """
    if "\0" in path_or_url:
        raise InvalidInput(f"{path_or_url!r} holds a zero character: correct the URL")
    if holds_credentials(path_or_url):
        raise InvalidInput(
            f"{path_or_url} holds credentials: take them out of the URL and set them in every process's environment "
            "(for S3 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
        )
    protocol, path = split_url(path_or_url)
    if protocol == "file":
        return "file://" + os.path.abspath(os.path.expanduser(path))
    return f"{protocol}://{path.strip('/')}"


def resolve(uri: str, base_url: str) -> str:
    """The absolute URL of `uri`: relative ones start at the folder `base_url`, absolute ones stay."""
    if "://" in uri or uri.startswith(("/", "~")):
        return absolute_url(uri)
    protocol, base = split_url(absolute_url(base_url))
    if protocol == "file":
        return absolute_url(posixpath.join(base, uri))
    # Dots must not climb out of the bucket: what lies beside it belongs to someone else.
    bucket, _, key = base.partition("/")
    return absolute_url(f"{protocol}://{bucket}{posixpath.normpath(posixpath.join('/', key, uri))}")


def parent_url(url: str) -> str:
    """The URL of the folder that holds `url`; a root or a bucket is its own parent."""
    return parent_of(absolute_url(url))


def name_of(url: str) -> str:
    """The last part of a path or URL."""
    return posixpath.basename(split_url(absolute_url(url))[1])


def parent_of(url: str) -> str:
    """As `parent_url`, of an absolute one."""
    protocol, path = split_url(url)
    if protocol not in ("file", "memory") and "/" not in path:
        return f"{protocol}://{path}"
    return f"{protocol}://{posixpath.dirname(path)}"


def split_url(url: str) -> tuple[str, str]:
    """Protocol and path; without a protocol it is a local path."""
    protocol, mark, path = url.partition("://")
    protocol = protocol.lower()
    return ("file" if protocol == "local" else protocol, path) if mark else ("file", url)
