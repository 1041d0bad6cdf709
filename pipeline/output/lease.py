"""One driver per OUTPUT (design 8): a numbered file that its holder refreshes and that others respect.

`_work/driver.<n>` is created conditionally with n one above the last. The newest number holds the lease as long as
its file is refreshed; ages are told by the store's clock alone, for machines disagree about the time. The file stays
after a release: numbers never come twice, so a driver that was paused for long finds out that others were there.
"""

import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Self

from pipeline.errors import OutputInUse, PipelineError
from pipeline.output.layout import WORK, driver_of, driver_path
from pipeline.storage.backends import Entry
from pipeline.storage.store import Store


@dataclass(frozen=True, kw_only=True)
class LeaseTimes:
    """Seconds."""

    refresh_s: float = 10.0
    stale_s: float = 60.0
    """A holder that is silent for so long counts as dead: the next one takes over."""
    doubt_s: float = 15.0
    """A holder that could not refresh for so long makes sure that it still holds the lease before it commits: early
    enough for the commit itself, which a slow store may hold up (`failures.RETRY`), to end before `stale_s`."""


class _Holder(NamedTuple):
    """The file of a driver that holds or held the lease, in a listing."""

    number: int
    modified_s: float | None
    fingerprint: str


class Lease:
    """The right to commit to one OUTPUT, for the time of the context.

    A silent holder is waited for until it counts as dead, so that a driver can be started again right after it was
    killed; a living one shows itself within one refresh and is then respected.
    """

    def __init__(
        self,
        store: Store,
        run_id: str,
        *,
        times: LeaseTimes | None = None,
        tell: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._times = times or LeaseTimes()
        self._tell = tell
        self._clock = clock
        self._holder = {"host": platform.node(), "pid": os.getpid(), "run_id": run_id, "token": uuid.uuid4().hex}
        self._number = 0
        self._refreshed_s = 0.0
        self._lost: PipelineError | None = None
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._keep_refreshing, name="lease", daemon=True)
        self.exclusive = True
        """Whether the store keeps conditional creates; without them a second driver may slip in."""

    def __enter__(self) -> Self:
        """Take the lease.

        Raises:
            OutputInUse: another driver holds it.
            InvalidOutput: OUTPUT cannot be written.
            StoreUnavailable: it cannot be reached.
        """
        self.exclusive, now_s, drivers = _probe(self._store)
        if not self.exclusive:
            self._tell(
                f"warning: {self._store.url} ignores conditional writes (If-None-Match): start no second run on it, "
                "for it might not be refused"
            )
        self._take(now_s, drivers)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the lease back; what cannot be told to the store, it finds out by our silence."""
        self._over.set()
        self._thread.join()
        try:
            if self._lost is None:
                self._write(released=True)
        except PipelineError:
            if kind is None:
                raise

    def check(self) -> None:
        """Make sure that the lease is held: at no cost as long as it is refreshed in time.

        Raises OutputInUse when another driver has taken over, StoreUnavailable when nobody can tell.
        """
        if self._lost is not None:
            raise self._lost
        if self._clock() - self._refreshed_s > self._times.doubt_s:
            self.refresh()

    def refresh(self) -> None:
        """Show that this driver lives, and look for a later one. Raises as `check`."""
        with self._lock:
            begun_s = self._clock()
            self._write(released=False)
            newest = max(_holders(self._store.list(WORK)), default=None)
            if newest is None or newest.number > self._number:
                self._lost = OutputInUse(
                    f"{self._store.url} was taken over by another driver ({self._describe(newest)}) while this one was "
                    "silent: this run stops, what it committed stays"
                )
                raise self._lost
            self._refreshed_s = begun_s

    def _keep_refreshing(self) -> None:
        while not self._over.wait(self._times.refresh_s):
            try:
                self.refresh()
            except OutputInUse:
                return
            except PipelineError:
                continue  # `check` decides what a silent store means

    def _take(self, now_s: float | None, drivers: list[_Holder]) -> None:
        while True:
            before = max(drivers, default=None)
            if before is not None and not self._released(before):
                self._wait_out(before, now_s)
            self._number = before.number + 1 if before else 1
            self._refreshed_s = self._clock()
            won = self._store.create(self._path, self._content(released=False))
            drivers, now_s = _holders(self._store.list(WORK)), None
            if won and before in (None, *drivers):
                self._forget_earlier(drivers)
                return
            if won:  # the one before lives after all: it was refreshed at the last moment
                self._store.delete(self._path)
                drivers = [driver for driver in drivers if driver.number < self._number]

    def _wait_out(self, driver: _Holder, now_s: float | None) -> None:
        """Until a driver counts as dead or releases the lease. Raises OutputInUse when it shows that it lives."""
        end_s = self._clock() + self._times.stale_s
        if now_s is not None and driver.modified_s is not None:
            end_s -= max(0.0, now_s - driver.modified_s)
        if (left_s := end_s - self._clock()) > 0:
            self._tell(f"another driver ({self._describe(driver)}) may still live: looking for up to {left_s:.0f} s")
        while (left_s := end_s - self._clock()) > 0:
            self._over.wait(min(left_s, self._times.refresh_s / 5))
            newest = max(_holders(self._store.list(WORK)), default=driver)
            if newest != driver:
                if self._released(newest):
                    return
                raise OutputInUse(
                    f"{self._store.url} is being written by another driver ({self._describe(newest)}): wait until it "
                    "is done, end it, or choose another OUTPUT"
                )

    def _released(self, driver: _Holder) -> bool:
        return bool(self._read(driver).get("released"))

    def _describe(self, driver: _Holder | None) -> str:
        holder = self._read(driver) if driver else {}
        known = [f"{word} {holder[word]}" for word in ("host", "pid", "run_id") if word in holder]
        return ", ".join(known) or "unknown"

    def _read(self, driver: _Holder) -> dict[str, object]:
        try:
            content = json.loads(self._store.get(driver_path(driver.number)))
        except (FileNotFoundError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _forget_earlier(self, drivers: list[_Holder]) -> None:
        for driver in drivers:
            if driver.number < self._number:
                self._store.delete(driver_path(driver.number))

    @property
    def _path(self) -> str:
        return driver_path(self._number)

    def _write(self, *, released: bool) -> None:
        self._store.put(self._path, self._content(released=released))

    def _content(self, *, released: bool) -> bytes:
        # A listing must tell a refresh from none where it has no fine clock: the content differs.
        return json.dumps({**self._holder, "released": released, "refresh": uuid.uuid4().hex}).encode()


def _holders(entries: list[Entry]) -> list[_Holder]:
    return [
        _Holder(number=number, modified_s=entry.modified_s, fingerprint=entry.fingerprint)
        for entry in entries
        if (number := driver_of(entry.name)) is not None
    ]


def _probe(store: Store) -> tuple[bool, float | None, list[_Holder]]:
    """Whether creates are conditional, the store's time, and the drivers' files, from one throw-away file."""
    name = f"probe.{uuid.uuid4().hex}"
    path = f"{WORK}/{name}"
    try:
        exclusive = store.create(path, b"first") and not store.create(path, b"second")
        entries = store.list(WORK)
    finally:
        store.delete(path)
    now_s = next((entry.modified_s for entry in entries if entry.name == name), None)
    return exclusive, now_s, _holders(entries)
