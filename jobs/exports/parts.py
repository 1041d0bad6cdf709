"""Files that all videos share, joined in the order of the videos from what each of them gave."""

import io
import json
import shutil
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import BinaryIO, cast

from jobs.exports.destination import PARTS, part_name
from pipeline.scratch import Scratch
from pipeline.storage.store import Store

_READERS = 16
_MOST_AHEAD_BYTES = 4 << 20
"""Parts up to this size are fetched ahead, sixteen at a time; larger ones are read as they are copied."""


class Parts:
    """What the videos gave, by name of the part."""

    def __init__(self, store: Store) -> None:
        """Lists them. Raises StoreUnavailable."""
        self._store = store
        self._sizes: dict[str, dict[str, int]] = {}
        for entry in store.list(PARTS):
            if name := part_name(entry.name):
                self._sizes.setdefault(name, {})[f"{PARTS}/{entry.name}"] = entry.size

    def put(self, name: str, data: bytes) -> None:
        """Write a file below DEST. Raises InvalidOutput, StoreUnavailable."""
        self._store.put(name, data)

    @contextmanager
    def file(self, name: str) -> Iterator[BinaryIO]:
        """A file below DEST, written piece by piece; it appears when it is complete."""
        with Scratch() as scratch:
            path = scratch.folder / "file"
            with path.open("wb") as file:
                yield file
            self._store.put_file(name, path)

    def files(self, name: str) -> Iterator[BinaryIO]:
        """The part of each video that has one, in order, open for reading."""
        sizes = iter(self._sizes.get(name, {}).items())
        with ThreadPoolExecutor(_READERS) as readers:
            ahead = deque(self._open(readers, *item) for item in islice(sizes, _READERS))
            while ahead:
                with ahead.popleft().result() as file:
                    yield file
                ahead.extend(self._open(readers, *item) for item in islice(sizes, 1))

    def _open(self, readers: ThreadPoolExecutor, path: str, size: int) -> Future[BinaryIO]:
        if size <= _MOST_AHEAD_BYTES:
            return readers.submit(lambda: io.BytesIO(self._store.get(path)))
        return readers.submit(lambda: cast(BinaryIO, self._store.open(path)))

    def copy(self, name: str, to: BinaryIO, between: bytes = b",\n") -> None:
        """Append all parts of a name, with `between` between them."""
        for number, file in enumerate(self.files(name)):
            to.write(between if number else b"")
            shutil.copyfileobj(file, to, 1 << 20)

    def has(self, name: str) -> bool:
        """Whether any video has such a part."""
        return name in self._sizes

    def json_file(self, name: str, content: Mapping[str, object], lists: Sequence[str]) -> None:
        """A JSON object below DEST: `content`, and under each name of `lists` the elements of these parts."""
        with self.file(name) as file:
            file.write(json.dumps(content, ensure_ascii=False)[:-1].encode())
            for key in lists:
                file.write(f",\n{json.dumps(key)}: [\n".encode())
                self.copy(key, file)
                file.write(b"\n]")
            file.write(b"}\n")

    def json_members(self, name: str, part: str, before: str = "", after: str = "") -> None:
        """A JSON object below DEST whose members are the elements of a part."""
        with self.file(name) as file:
            file.write(f"{before}{{\n".encode())
            self.copy(part, file)
            file.write(f"\n}}{after}\n".encode())
