"""One driver per OUTPUT (design 8): a numbered file that its holder refreshes and that others respect.

`_work/driver.<n>` is created conditionally with n one above the last, and the newest number alone holds the lease: who
created a lower one, and was frozen since, finds out when it next looks. Nobody takes over while the newest is
refreshed; ages are told by the store's clock alone, for machines disagree about the time. The file stays after a
release: numbers never come twice, and commits carry them (`commits`).
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

from pipeline.errors import InvalidOutput, OutputInUse, PipelineError
from pipeline.output.layout import WORK, driver_of, driver_path
from pipeline.storage.backends import Entry
from pipeline.storage.failures import LONGEST_S
from pipeline.storage.store import Store

PROBE = "probe."
"""Begins the name of the throw-away file by which a store is tried."""
_PROBES = 3
"""A driver that froze while it tried one may find its file swept, and the store seems to ignore conditions."""


@dataclass(frozen=True, kw_only=True)
class LeaseTimes:
    """Seconds."""

    refresh_s: float = 10.0
    stale_s: float = 60.0
    """A holder that is silent for so long counts as dead: the next one takes over."""
    doubt_s: float = 15.0
    """A holder that could not refresh for so long makes sure that it still holds the lease before it goes on."""


def settled_s(times: LeaseTimes) -> float:
    """After how many seconds of silence no request of a driver can still arrive."""
    return times.stale_s + LONGEST_S


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
        sleep: Callable[[float], None] = time.sleep,
        not_exclusive: bool = False,
    ) -> None:
        """`not_exclusive`: go on also where the store ignores conditional creates, and a second driver may slip in."""
        self._store = store
        self._times = times or LeaseTimes()
        self._tell = tell
        self._clock = clock
        self._sleep = sleep
        self._not_exclusive = not_exclusive
        self._holder = {"host": platform.node(), "pid": os.getpid(), "run_id": run_id, "token": uuid.uuid4().hex}
        self._refreshed_s = 0.0
        self._lost: PipelineError | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_refreshing, name="lease", daemon=True)
        self.number = 0
        """What its commits carry."""
        self.held_s = 0.0
        """When it last showed that it holds the lease, in seconds since the epoch by the store's clock."""
        self.exclusive = True
        """Whether the store keeps conditional creates."""
        self.replaced: frozenset[str] = frozenset()
        """The runs of the drivers that it found there and took over from: what they still commit has lower numbers."""

    @property
    def settled_s(self) -> float:
        """After how many seconds of silence no request of another driver can still arrive."""
        return settled_s(self._times)

    def __enter__(self) -> Self:
        """Take the lease.

        Raises:
            OutputInUse: another driver holds it.
            InvalidOutput: OUTPUT cannot be written, or ignores conditional creates.
            StoreUnavailable: it cannot be reached.
        """
        for _ in range(_PROBES):
            self.exclusive, now_s = self._probe()
            if self.exclusive:
                break
        else:
            self._accept_ignored_conditions()
        self._take(now_s, above=0)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the lease back; what cannot be told to the store, it finds out by our silence."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(self._times.refresh_s)
        try:
            if self._lost is None and self.number:
                self._write(released=True)
        except PipelineError:
            if kind is None:
                raise

    def rise_above(self, number: int) -> None:
        """Take a number above `number`, where commits carry higher ones than the drivers' files tell.

        Raises as `refresh`: the commits may be those of a driver that has taken over.
        """
        if number >= self.number:
            self.refresh()
            self._take(self.held_s, above=number)

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
        begun_s = self._clock()
        self._write(released=False)
        holders = _holders(self._store.list(WORK))
        newest = max(holders, default=None)
        if newest is None or newest.number != self.number or not self._is_mine():
            self._lost = OutputInUse(
                f"{self._store.url} was taken over by another driver ({self._describe(newest)}) while this one was "
                "silent: this run stops, what it committed stays"
            )
            raise self._lost
        self._refreshed_s, self.held_s = begun_s, newest.modified_s or 0.0

    def _is_mine(self) -> bool:
        """Where creates are conditional, whoever has the number is who created it."""
        return self.exclusive or _read_holder(self._store, self.number).get("token") == self._holder["token"]

    def _keep_refreshing(self) -> None:
        while not self._over.wait(self._times.refresh_s):
            try:
                self.refresh()
            except OutputInUse:
                return
            except PipelineError:
                continue  # `check` decides what a silent store means

    def _take(self, now_s: float | None, *, above: int) -> None:
        while True:
            holders = _holders(self._store.list(WORK))
            before = max(holders, default=None)
            if before is not None and before.number != self.number and not self._released(before):
                self._wait_out(before, now_s)
            number = 1 + max(above, before.number if before else 0)
            self.number, now_s = number, None
            if self._store.create(driver_path(number), self._content(released=False)):
                self.refresh()
                self._forget_earlier()
                return

    def _wait_out(self, driver: _Holder, now_s: float | None) -> None:
        """Until a driver counts as dead or releases the lease. Raises OutputInUse when it shows that it lives."""
        end_s = self._clock() + self._times.stale_s
        if now_s is not None and driver.modified_s is not None:
            end_s -= max(0.0, now_s - driver.modified_s)
        if (left_s := end_s - self._clock()) > 0:
            self._tell(f"another driver ({self._describe(driver)}) may still live: looking for up to {left_s:.0f} s")
        while (left_s := end_s - self._clock()) > 0:
            self._sleep(min(left_s, self._times.refresh_s / 5))
            newest = max(_holders(self._store.list(WORK)), default=driver)
            if newest != driver:
                if self._released(newest):
                    return
                raise OutputInUse(
                    f"{self._store.url} is being written by another driver ({self._describe(newest)}): wait until it "
                    "is done, end it, or choose another OUTPUT"
                )

    def _released(self, driver: _Holder) -> bool:
        return bool(_read_holder(self._store, driver.number).get("released"))

    def _describe(self, driver: _Holder | None) -> str:
        holder = _read_holder(self._store, driver.number) if driver else {}
        known = [f"{word} {holder[word]}" for word in ("host", "pid", "run_id") if word in holder]
        return ", ".join(known) or "unknown"

    def _forget_earlier(self) -> None:
        for driver in _holders(self._store.list(WORK)):
            if driver.number < self.number:
                if run_id := _read_holder(self._store, driver.number).get("run_id"):
                    self.replaced |= {str(run_id)}
                self._store.delete(driver_path(driver.number))

    def _write(self, *, released: bool) -> None:
        self._store.put(driver_path(self.number), self._content(released=released))

    def _content(self, *, released: bool) -> bytes:
        # A listing must tell a refresh from none where it has no fine clock: the content differs.
        return json.dumps({**self._holder, "released": released, "refresh": uuid.uuid4().hex}).encode()

    def _probe(self) -> tuple[bool, float | None]:
        """Whether creates are conditional, and the store's time, from one throw-away file."""
        name = f"{PROBE}{uuid.uuid4().hex}"
        path = f"{WORK}/{name}"
        try:
            exclusive = self._store.create(path, b"first") and not self._store.create(path, b"second")
            entries = self._store.list(WORK)
        finally:
            self._store.delete(path)
        return exclusive, next((entry.modified_s for entry in entries if entry.name == name), None)

    def _accept_ignored_conditions(self) -> None:
        if not self._not_exclusive:
            raise InvalidOutput(
                f"{self._store.url} ignores conditional writes (If-None-Match), so two runs on it could overwrite each "
                "other's results: choose another store for OUTPUT, or add --not-exclusive and never start a second run"
            )
        self._tell(
            f"warning: {self._store.url} ignores conditional writes (If-None-Match): start no second run on it, "
            "for it might not be refused"
        )


def may_be_driven(store: Store) -> bool:
    """Whether the last driver has not released its lease: it lives, or was killed. Raises StoreUnavailable."""
    newest = max(_holders(store.list(WORK)), default=None)
    return newest is not None and not _read_holder(store, newest.number).get("released")


def _read_holder(store: Store, number: int) -> dict[str, object]:
    """What a driver wrote into its file; empty where it is gone or unreadable."""
    try:
        content = json.loads(store.get(driver_path(number)))
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _holders(entries: list[Entry]) -> list[_Holder]:
    return [
        _Holder(number=number, modified_s=entry.modified_s, fingerprint=entry.fingerprint)
        for entry in entries
        if (number := driver_of(entry.name)) is not None
    ]
