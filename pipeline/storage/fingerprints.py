"""What tells a changed input from an unchanged one, at few requests: listings of folders, never a request a file."""

import errno
import hashlib
import posixpath

from pipeline.storage.backends import Entry
from pipeline.storage.store import Store
from pipeline.storage.urls import absolute_url, parent_of, split_url


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
        return self._listing(parent_of(url)).get(posixpath.basename(split_url(url)[1]))

    def _listing(self, url: str) -> dict[str, Entry]:
        if url not in self._listings:
            self._listings[url] = {entry.name: entry for entry in Store(url).list()}
        return self._listings[url]

    def _of_folder(self, url: str) -> str:
        digest = hashlib.sha256()
        for name, entry in self._listing(url).items():
            digest.update(f"{name}\0{entry.fingerprint}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()
