"""A store whose every operation is numbered, and drivers that crash, are signalled or freeze at any of them.

Time is the world's own: it goes on by a little with each operation, and by much while a driver is frozen. After each
operation that changes something, `World.check` looks at what is stored, by itself and as readers do.

Two worlds in which the same happens hold the same bytes, so what readers see of them is looked at once.
"""

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

from pipeline.output import committed, sweep
from pipeline.output.committed import read_committed
from pipeline.storage import failures, store
from pipeline.storage.backends import Backend, Entry, backend_of
from pipeline.storage.retry import Retry
from pipeline.storage.store import Store

STEP_S = 0.01
"""What an operation takes."""
COARSE_S = 500.0
_ALIKE_S = 50.0
"""Ages that differ by less are the same to a run."""
CHANGES = ("put", "create", "delete")
_NOT_READ = ("/_work/", "/_runs/", "/failures/")
"""Folders that tell nothing of what is committed."""
_SAVED = ("now_s", "written_s", "violations", "seen", "opened", "names")
_SHOWN: dict[int, set[str] | str] = {}
"""What readers see, by what is stored."""


class Killed(BaseException):
    """The driver is dead: nothing of it runs any more."""


Point = Callable[["World", "Driver", str], None]
"""What happens to the driver that asks; called with "before" and "after"."""


@dataclass
class Driver:
    """One process that runs."""

    name: str
    dead: bool = False
    stopped: bool = False


@dataclass(frozen=True, kw_only=True)
class Saved:
    """All of a world at one moment."""

    files: Mapping[str, bytes]
    """By path below OUTPUT."""
    state: Mapping[str, Any]


class World:
    """One OUTPUT on memory://."""

    def __init__(self) -> None:
        self.store = Store(f"memory://{uuid.uuid4().hex}/out")
        self._root = self.store.url.removeprefix("memory:/")
        self.points: Mapping[int, Point] = {}
        """What happens at which operation, counted from 0."""
        self.operations: list[str] = []
        """What drivers asked the store for, in order."""
        self.now_s = 1_800_000_000.0
        self.written_s: dict[str, float] = {}
        """By path below OUTPUT."""
        self.drivers: list[Driver] = []
        self.violations: list[str] = []
        self.seen: set[str] = set()
        """Videos that were committed at some moment."""
        self.opened: dict[str, float] = {}
        """Files of results that somebody has open, and until when they must stay."""
        self.names = 0
        """Unique ones that were given."""
        self._quiet = False

    def save(self) -> Saved:
        """What `resume` goes on from, any number of times, in other worlds too. No driver runs."""
        return Saved(files=self.files(), state={name: copy(getattr(self, name)) for name in _SAVED})

    def resume(self, saved: Saved) -> None:
        """Be as it was then; operations are counted anew."""
        self.clear()
        for path, data in saved.files.items():
            MemoryFileSystem.store[f"{self._root}{path}"] = MemoryFile(data=data)
        for name, value in saved.state.items():
            setattr(self, name, copy(value))
        self.disturb({})

    def disturb(self, points: Mapping[int, Point]) -> None:
        """From now on operations are counted anew, and these things happen."""
        self.points, self.operations = points, []

    def files(self) -> dict[str, bytes]:
        """All that is stored, by path below OUTPUT."""
        begin = f"{self._root}/"
        found = [(path, file) for path, file in MemoryFileSystem.store.items() if path.startswith(begin)]
        return {path.removeprefix(self._root): file.getvalue() for path, file in found}

    def clear(self) -> None:
        """Delete everything."""
        for path in [path for path in MemoryFileSystem.store if path.startswith(self._root)]:
            del MemoryFileSystem.store[path]

    def operation(self, kind: str, url: str, action: Callable[[], Any]) -> Any:
        """One request of the driver that runs now."""
        if self._quiet or not url.startswith(self.store.url):
            return action()
        driver, number, path = self.drivers[-1], len(self.operations), url.removeprefix(self.store.url)
        self.operations.append(kind)
        what = self.points.get(number, _nothing)
        self._alive(driver)
        what(self, driver, "before")
        self._alive(driver)
        result = action()
        self.now_s += STEP_S
        if kind in CHANGES:
            self.written_s[path] = self.now_s
            self.check(f"{driver.name} {number} {kind} {path}")
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
        """The time of all machines, whose clocks are coarse: what lasts a little longer writes the same."""
        return datetime.fromtimestamp(self.now_s // COARSE_S * COARSE_S, UTC)

    def new_run_id(self) -> str:
        """The same in every world for its first run, its second, ..."""
        return f"{self.now():%Y%m%dT%H%M%S}-{self.new_name().hex[-8:]}"

    def new_name(self) -> uuid.UUID:
        """The same in every world when asked for the first time, the second, ..."""
        self.names += 1
        return uuid.UUID(int=self.names)

    def check(self, where: str) -> None:
        """Hold the invariant against what is stored (design 8); what is wrong is noted with `where` it was found."""
        with self.quiet():
            files = self.files()
            counting = _counting(files)
            if lost := self.seen - counting:
                self.violations.append(f"{where}: no result of {sorted(lost)} any more")
            self.seen |= counting
            shown = self._shown(files)
            if shown != counting:
                self.violations.append(f"{where}: readers see {shown}, committed are {sorted(counting)}")
            gone = [path for path, until_s in self.opened.items() if until_s > self.now_s and f"/{path}" not in files]
            if gone:
                self.violations.append(f"{where}: files that a reader has open are gone: {gone}")

    def _shown(self, files: Mapping[str, bytes]) -> set[str] | str:
        """Videos that readers see, or why they see nothing."""
        state = state_of({path: data for path, data in files.items() if not path.startswith(_NOT_READ)})
        if state not in _SHOWN:
            try:
                _SHOWN[state] = {found.video_id for found in read_committed(self.store).current.values()}
            except Exception as error:
                _SHOWN[state] = f"nothing ({type(error).__name__}: {error})"
        return _SHOWN[state]

    def state(self, *, aged: bool = False) -> int:
        """What decides how runs go on that begin after long: what they read, and how it stands with the lease.

        `aged`: also of runs that begin soon, which ask how old files are.
        """
        files = self.files()
        kept = {path: data for path, data in files.items() if not path.startswith(_NOT_READ)}
        leases = {path: _released(data) for path, data in files.items() if path.startswith("/_work/driver.")}
        ages = {path: (self.now_s - self.written_s[path]) // _ALIKE_S for path in kept} if aged else {}
        return hash((state_of(kept), frozenset(leases.items()), frozenset(self.seen), frozenset(ages.items())))

    def open_dataset(self, *, for_s: float) -> None:
        """Somebody opens the tables and reads them slowly."""
        with self.quiet():
            for found in read_committed(self.store).current.values():
                self.opened |= dict.fromkeys(found.paths.values(), self.now_s + for_s)


def state_of(files: Mapping[str, bytes]) -> int:
    """Names it by content."""
    return hash(frozenset(files.items()))


def _counting(files: Mapping[str, bytes]) -> set[str]:
    """Videos with a commit all of whose files are there with their sizes and checksums."""
    commits = (_parsed(data) for path, data in files.items() if path.startswith("/_commits/"))
    return {
        video_id
        for video_id, listed in commits
        if all(f"/{path}" in files and _sha256(files[f"/{path}"]) == (size, sha256) for path, size, sha256 in listed)
    }


def _nothing(_world: World, _driver: Driver, _when: str) -> None:
    pass


@lru_cache(maxsize=10_000)
def _parsed(data: bytes) -> tuple[str, tuple[tuple[str, int, str], ...]]:
    content = json.loads(data)
    files = tuple((record["path"], record["bytes"], record["sha256"]) for record in content["files"].values())
    return content["video_id"], files


@lru_cache(maxsize=10_000)
def _released(lease: bytes) -> bool:
    return bool(json.loads(lease).get("released"))


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
        if entry.is_folder or not url.startswith(self._world.store.url):
            return entry
        folder = url.removeprefix(self._world.store.url)
        return replace(entry, modified_s=self._world.written_s.get(f"{folder}/{entry.name}", 0.0))


@contextmanager
def tapped() -> Iterator[World]:
    """A world for the time of the context; requests come one after the other, and retries take no time."""
    world = World()
    with pytest.MonkeyPatch.context() as patch:
        backend = Tapped(backend_of("memory://"), world)
        patch.setattr(store, "backend_of", lambda _url: backend)
        patch.setattr("pipeline.run.driver.new_run_id", world.new_run_id)
        patch.setattr("pipeline.output.videos.uuid", SimpleNamespace(uuid4=world.new_name))
        patch.setattr(failures, "RETRY", Retry(clock=lambda: world.now_s, sleep=world.sleep))
        patch.setattr(committed, "ThreadPoolExecutor", _InTurn)
        patch.setattr(sweep, "ThreadPoolExecutor", _InTurn)
        yield world
    world.clear()
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
