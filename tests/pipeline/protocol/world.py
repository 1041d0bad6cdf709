"""A store whose every operation is numbered, and drivers to which something may happen at any of them.

Time is the world's own: it goes on by a little with each operation, and by much while a driver is frozen. After each
operation that changes something, `World.check` looks at what is stored, by itself and as readers do.
"""

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, BinaryIO

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pipeline.output import committed, sweep
from pipeline.output.committed import read_committed
from pipeline.storage import failures, store
from pipeline.storage.backends import Backend, Entry, backend_of
from pipeline.storage.retry import Retry
from pipeline.storage.store import Store

STEP_S = 0.01
"""What an operation takes."""
CHANGES = ("put", "create", "delete")


class Killed(BaseException):
    """The driver is dead: nothing of it runs any more."""


@dataclass
class Driver:
    """One process that runs."""

    name: str
    dead: bool = False
    stopped: bool = False


Fault = Callable[["World", Driver, str], None]
"""What happens to the driver that runs, called with "before" and "after" its operation."""


class World:
    """One OUTPUT on memory://."""

    def __init__(self) -> None:
        self.store = Store(f"memory://{uuid.uuid4().hex}/out")
        self._root = self.store.url.removeprefix("memory:/")
        self.now_s = 1_800_000_000.0
        self.written_s: dict[str, float] = {}
        self.drivers: list[Driver] = []
        """Those that run: the last one works, the others are frozen."""
        self.faults: Mapping[int, Fault] = {}
        """What happens at which operation, counted from 0 over all drivers since `disturb`."""
        self.operations: list[str] = []
        """What drivers asked the store for since then, in order."""
        self.violations: list[str] = []
        self.seen: set[str] = set()
        """Videos that were committed at some moment."""
        self.opened: dict[str, float] = {}
        """Files of results that somebody has open, and until when they must stay."""
        self.readers_look = True
        """Whether each check reads the output as its readers do, which takes longer."""
        self._quiet = False

    def disturb(self, faults: Mapping[int, Fault]) -> None:
        """From now on operations are counted anew, and these happen."""
        self.faults, self.operations = faults, []

    def operation(self, kind: str, url: str, action: Callable[[], Any]) -> Any:
        """One request of the driver that runs now."""
        if self._quiet or not url.startswith(self.store.url):
            return action()
        driver = self.drivers[-1]
        number = len(self.operations)
        self.operations.append(kind)
        what = self.faults.get(number, _nothing)
        self._alive(driver)
        what(self, driver, "before")
        self._alive(driver)
        result = action()
        self.now_s += STEP_S
        if kind in CHANGES:
            self.written_s[url] = self.now_s
            self.check(f"{driver.name} {number} {kind} {url.removeprefix(self.store.url)}")
        what(self, driver, "after")
        self._alive(driver)
        return result

    @staticmethod
    def _alive(driver: Driver) -> None:
        if driver.dead:
            raise Killed

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Nothing is numbered: somebody looks on."""
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before

    def sleep(self, seconds: float) -> None:
        """Let time go on."""
        self.now_s += max(seconds, 0.001)

    def now(self) -> datetime:
        """The time of all machines."""
        return datetime.fromtimestamp(self.now_s, UTC)

    def check(self, where: str) -> None:
        """Hold the invariant against what is stored (design 8); what is wrong is noted with `where` it was found."""
        with self.quiet():
            counting = self._counting()
            if lost := self.seen - counting:
                self.violations.append(f"{where}: no result of {sorted(lost)} any more")
            self.seen |= counting
            if self.readers_look:
                self._look(where, counting)
            gone = [path for path, until_s in self.opened.items() if until_s > self.now_s and not self._is_there(path)]
            if gone:
                self.violations.append(f"{where}: files that a reader has open are gone: {gone}")

    def _look(self, where: str, counting: set[str]) -> None:
        try:
            shown = {found.video_id for found in read_committed(self.store).current.values()}
        except Exception as error:
            self.violations.append(f"{where}: cannot be read ({type(error).__name__}: {error})")
            return
        if shown != counting:
            self.violations.append(f"{where}: readers see {sorted(shown)}, committed are {sorted(counting)}")

    def _counting(self) -> set[str]:
        """Videos with a commit all of whose files are there with their sizes and checksums."""
        stored = {path.removeprefix(self._root): file for path, file in MemoryFileSystem.store.items()}
        commits = (_parsed(file.getvalue()) for path, file in stored.items() if path.startswith("/_commits/"))
        return {
            video_id
            for video_id, files in commits
            if all(
                f"/{path}" in stored and _sha256(stored[f"/{path}"].getvalue()) == (size, sha256)
                for path, size, sha256 in files
            )
        }

    def _is_there(self, path: str) -> bool:
        return f"{self._root}/{path}" in MemoryFileSystem.store

    def saved(self) -> "Saved":
        """What is stored now."""
        files = {
            path.removeprefix(self._root): file.getvalue()
            for path, file in MemoryFileSystem.store.items()
            if path.startswith(self._root)
        }
        written_s = {url.removeprefix(self.store.url): at_s for url, at_s in self.written_s.items()}
        return Saved(files=files, written_s=written_s, now_s=self.now_s, seen=frozenset(self.seen))

    def restore(self, saved: "Saved") -> None:
        """Have in this world, which is empty, what was stored in another one."""
        with self.quiet():
            for path, data in saved.files.items():
                self.store.put(path.removeprefix("/"), data)
        self.written_s = {f"{self.store.url}{path}": at_s for path, at_s in saved.written_s.items()}
        self.now_s, self.seen = saved.now_s, set(saved.seen)

    def open_dataset(self, *, for_s: float) -> None:
        """Somebody opens the tables and reads them slowly."""
        with self.quiet():
            for found in read_committed(self.store).current.values():
                self.opened |= dict.fromkeys(found.paths.values(), self.now_s + for_s)


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A world to begin from, again and again."""

    files: Mapping[str, bytes]
    written_s: Mapping[str, float]
    now_s: float
    seen: frozenset[str]


def _nothing(_world: World, _driver: Driver, _when: str) -> None:
    pass


@lru_cache(maxsize=10_000)
def _parsed(data: bytes) -> tuple[str, tuple[tuple[str, int, str], ...]]:
    content = json.loads(data)
    files = tuple((record["path"], record["bytes"], record["sha256"]) for record in content["files"].values())
    return content["video_id"], files


_videos_of = lru_cache(maxsize=10_000)(committed.videos_of)


@lru_cache(maxsize=10_000)
def _sha256(data: bytes) -> tuple[int, str]:
    return len(data), hashlib.sha256(data).hexdigest()


class Tapped:
    """A backend each of whose requests is an operation of the world."""

    def __init__(self, backend: Backend, world: World) -> None:
        self._backend = backend
        self._world = world

    def open(self, url: str) -> BinaryIO:
        return self._world.operation("open", url, lambda: self._backend.open(url))

    def get(self, url: str) -> bytes:
        return self._world.operation("get", url, lambda: self._backend.get(url))

    def put(self, url: str, data: bytes) -> None:
        self._world.operation("put", url, lambda: self._backend.put(url, data))

    def put_file(self, url: str, local_path: str) -> None:
        self._world.operation("put", url, lambda: self._backend.put_file(url, local_path))

    def create(self, url: str, data: bytes) -> bool:
        # As on a remote store: a create that is tried again meets its own success.
        return self._world.operation(
            "create", url, lambda: self._backend.create(url, data) or self._backend.get(url) == data
        )

    def is_folder(self, url: str) -> bool:
        return self._world.operation("is_folder", url, lambda: self._backend.is_folder(url))

    def entries(self, url: str) -> Iterator[Entry]:
        listed = self._world.operation("list", url, lambda: list(self._backend.entries(url)))
        return iter([self._dated(url, entry) for entry in listed])

    def temporaries(self, url: str) -> Iterator[Entry]:
        return iter(())

    def delete(self, url: str) -> None:
        self._world.operation("delete", url, lambda: self._backend.delete(url))

    def _dated(self, url: str, entry: Entry) -> Entry:
        if entry.is_folder:
            return entry
        return replace(entry, modified_s=self._world.written_s.get(f"{url}/{entry.name}", 0.0))


@contextmanager
def tapped() -> Iterator[World]:
    """A world for the time of the context; requests come one after the other, and retries take no time."""
    world = World()
    with pytest.MonkeyPatch.context() as patch:
        backend = Tapped(backend_of("memory://"), world)
        patch.setattr(store, "backend_of", lambda _url: backend)
        patch.setattr(failures, "RETRY", Retry(clock=lambda: world.now_s, sleep=world.sleep))
        patch.setattr(committed, "ThreadPoolExecutor", _InTurn)
        patch.setattr(sweep, "ThreadPoolExecutor", _InTurn)
        patch.setattr(committed, "videos_of", _videos_of)
        yield world
    for path in [path for path in MemoryFileSystem.store if path.startswith(world._root)]:
        del MemoryFileSystem.store[path]
    MemoryFileSystem.pseudo_dirs[:] = [
        path for path in MemoryFileSystem.pseudo_dirs if not world._root.startswith(path)
    ]


class _InTurn(nullcontext[Any]):
    """An executor without threads, so that operations have the same numbers in every run."""

    def __init__(self, _workers: int) -> None:
        super().__init__()

    def __enter__(self) -> "_InTurn":
        return self

    def map(self, function: Callable[[Any], Any], items: Any) -> Iterator[Any]:
        return iter([function(item) for item in items])
