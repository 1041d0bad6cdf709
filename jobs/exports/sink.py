"""Where a format puts what it writes of one video."""

import io
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from jobs.exports.destination import part_path
from jobs.exports.losses import Loss, Tally
from pipeline.scratch import Scratch
from pipeline.storage.store import Store

_WRITERS = 8
"""Files on their way at a time: waiting for a store, or a disk, takes longer than drawing."""
_MOST_WAITING = 64


class Sink:
    """Whole files below DEST, parts of files that all videos share, and what could not be held."""

    def __init__(self, store: Store, number: int, folder: Path, writers: ThreadPoolExecutor) -> None:
        self.store = store
        self.folder = folder
        """Local, for files in the making; it is removed with all that is in it."""
        self.tally = Tally(videos=1)
        self._number = number
        self._parts: dict[str, Part] = {}
        self._writers = writers
        self._waiting: deque[Future[None]] = deque()

    def put(self, name: str, data: bytes) -> None:
        """Write a file below DEST. Raises InvalidOutput, StoreUnavailable, of this or an earlier one."""
        while len(self._waiting) >= _MOST_WAITING:
            self._waiting.popleft().result()
        self._waiting.append(self._writers.submit(self.store.put, name, data))

    def put_file(self, name: str, path: Path) -> None:
        """Copy a local file to a name below DEST. Raises InvalidOutput, StoreUnavailable."""
        self.store.put_file(name, path)

    def part(self, name: str) -> "Part":
        """This video's part of something that all videos share; `finish` of the format finds it under this name."""
        if name not in self._parts:
            self._parts[name] = Part(self.folder / f"part-{len(self._parts)}")
        return self._parts[name]

    def lost(self, loss: Loss, count: int) -> None:
        """Count what this format cannot hold."""
        self.tally.lost[loss] += count

    def close(self) -> None:
        """Wait until everything is written. Raises InvalidOutput, StoreUnavailable."""
        while self._waiting:
            self._waiting.popleft().result()
        for name, part in self._parts.items():
            part.close()
            self.store.put_file(part_path(self._number, name), part.path)

    def discard(self) -> None:
        """Close local files, so that they can be removed."""
        for part in self._parts.values():
            part.close()


class Part:
    """A local file that grows by elements."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("wb")
        self._empty = True

    def add(self, element: str, between: str = ",\n") -> None:
        """Append an element, with `between` before all but the first."""
        self._file.write(("" if self._empty else between).encode() + element.encode())
        self._empty = False

    @property
    def file(self) -> io.BufferedWriter:
        """What is written to, for elements that are written piece by piece."""
        return self._file

    def close(self) -> None:
        """Nothing more can be added."""
        self._file.close()


@contextmanager
def sink_of(store: Store, number: int) -> Iterator[Sink]:
    """A sink that is closed at the end unless something failed."""
    with Scratch() as scratch, ThreadPoolExecutor(_WRITERS) as writers:
        sink = Sink(store, number, scratch.folder, writers)
        try:
            yield sink
            sink.close()
        finally:
            sink.discard()
