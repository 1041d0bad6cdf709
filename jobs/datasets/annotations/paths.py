"""Names of pictures as annotation files hold them, and which annotation file a folder has."""

import re
from pathlib import PurePosixPath
from typing import TypeGuard
from urllib.parse import parse_qs, unquote, urlsplit

from jobs.datasets import listing
from pipeline.errors import InvalidInput
from pipeline.storage.store import Store
from pipeline.storage.urls import absolute_url, name_of, parent_url

_ANNOTATIONS = "annotations"
_NO_NAME = re.compile("[\x00\ud800-\udfff]")
"""Half characters, as JSON may hold, and the one that no system takes."""
_UPLOAD = re.compile(r"/data/upload/(?:\d+/)?(?:[0-9a-f]{8}-)?(.+)")
"""Label Studio puts eight characters before the name of what is uploaded."""


def is_name(name: object) -> TypeGuard[str]:
    """Whether a file may be called so: text in Unicode with something in it."""
    return isinstance(name, str) and bool(name.strip()) and not _NO_NAME.search(name)


def parts_of(name: object, where: str) -> tuple[str, str]:
    """Folder ("" for none) and file name of a picture that a file names by a path below the images.

    Raises InvalidInput for what is no such path; `where` it stands starts the message.
    """
    if not is_name(name):
        raise InvalidInput(f"{where}: names no picture; write the path of its picture below the images")
    path = PurePosixPath(name.replace("\\", "/"))
    parts = [part for part in path.parts if part != "."]
    if path.is_absolute() or ".." in parts or ":" in parts[0]:
        raise InvalidInput(f"{where}: the picture {name!r} is not below the images; write its path from there")
    return "/".join(parts[:-1]), parts[-1]


def dataset_of(source: str, suffix: str, what: str, prefix: str = "") -> tuple[Store, str]:
    """The folder of a dataset and the URL of its annotation file, of a path or URL of either.

    In a folder the file lies directly or in `annotations`; among several the only one whose name begins with `prefix`
    is taken. Raises InvalidInput where there is none or more than one.
    """
    url = absolute_url(source)
    if url.lower().endswith(suffix):
        folder = parent_url(url)
        return Store(parent_url(folder) if name_of(folder) == _ANNOTATIONS else folder), url
    root = Store(url)
    found = [
        f"{folder}/{name}" if folder else name
        for folder in ("", _ANNOTATIONS)
        for name in listing.files(root, suffix, folder)
        if not name.startswith(("_", "."))
    ]
    preferred = [name for name in found if prefix and name.rpartition("/")[2].startswith(prefix)]
    chosen = preferred if len(preferred) == 1 else found
    if not chosen:
        raise InvalidInput(f"{url}: has no *{suffix} file, and none in {_ANNOTATIONS}/; name {what}")
    if len(chosen) > 1:
        raise InvalidInput(f"{url}: has several *{suffix} files ({listing.few(chosen)}); name one of them as SRC")
    return root, root.url_of(chosen[0])


def base_name(path: object, where: str) -> str:
    """The file name of a path, whichever way its slashes lean. Raises InvalidInput for none."""
    name = path.replace("\\", "/").rstrip("/").rpartition("/")[2] if is_name(path) else ""
    if not name or name in (".", ".."):
        raise InvalidInput(f"{where}: {path!r} names no picture; write its file name")
    return name


def stored_parts(address: object, where: str) -> tuple[str, str]:
    """Folder ("" for none) and file name of what Label Studio knows by an address: a path, a URL, an upload.

    Of a folder the last part counts, for what is above it depends on the machine. Raises InvalidInput for none.
    """
    if not is_name(address):
        raise InvalidInput(f"{where}: names no picture or video (data.image, data.video); name it")
    parsed = urlsplit(address)
    local = parse_qs(parsed.query).get("d", [""])[0]  # files on the server's disk: /data/local-files/?d=PATH
    path = local or (unquote(parsed.path) if parsed.scheme or address.startswith("/data/") else address)
    path = path.replace("\\", "/").rstrip("/")
    if upload := _UPLOAD.fullmatch(path):
        return "", upload[1]
    folder, _, name = path.rpartition("/")
    above = folder.rpartition("/")[2]
    if name in ("", ".", "..") or above in (".", ".."):
        raise InvalidInput(f"{where}: {address!r} names no picture or video; write VIDEO/FRAME.jpg")
    return above, name
