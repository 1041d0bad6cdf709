"""A proxy before an S3 server that holds requests up: before they are let in, on their way, or on the way back.

What it has taken it hands on, also when the client has given up by then: such a request arrives late.
"""

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from tests.s3.proxy import Proxy, proxied
from tests.s3.servers import S3

Stage = Literal["continue", "body", "answer"]
_LOOK_S = 0.02


@dataclass(frozen=True, kw_only=True)
class Stall:
    """What happens to a request."""

    stage: Stage
    """continue: the client is not told to go on; body: the server gets nothing; answer: it is done, and nobody told."""
    seconds: float


class Stalls:
    """Says what happens to which request, and how long clients waited for theirs."""

    def __init__(self, of: Callable[[str, str], Stall | None]) -> None:
        """`of` is called with the operation (`operation_of`) and path of each request as they come."""
        self.waited_s: list[float] = []
        self.begun = 0
        """Requests that were held up."""
        self.held = 0
        """Requests that are held up now, or handed on late."""
        self.over = threading.Event()
        """Nothing is held up any more."""
        self._of = of
        self._lock = threading.Lock()

    def of(self, operation: str, path: str) -> Stall | None:
        with self._lock:
            return self._of(operation, path)

    @contextmanager
    def holding(self) -> Iterator[None]:
        with self._lock:
            self.held += 1
            self.begun += 1
        try:
            yield
        finally:
            with self._lock:
                self.held -= 1

    def end(self) -> None:
        """Let go of everything, and wait until it has arrived."""
        self.over.set()
        while self.held:
            time.sleep(_LOOK_S)


def operation_of(method: str, path: str) -> str:
    """PUT, GET, LIST, DELETE, ..."""
    return "LIST" if method == "GET" and "list-type" in path else method


@contextmanager
def stalling(server: S3, stalls: Stalls) -> Iterator[S3]:
    """The same server, through the proxy."""
    with proxied(server, _Stalling, stalls=stalls) as through:
        try:
            yield through
        finally:
            stalls.end()


class _Stalling(Proxy):
    stalls: Stalls
    _stall: Stall | None = None

    def handle_expect_100(self) -> bool:
        self._begin()
        with self._held("continue"):
            if not self._waits():
                self.close_connection = True
                return False
        return super().handle_expect_100()

    def _answer(self) -> None:
        if self.headers.get("Expect") is None:
            self._begin()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self._held("body"):
            answer = self.forwarded(body)
        with self._held("answer"):
            pass
        with suppress(OSError):  # the client has given up
            self.send(*answer)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer

    def _begin(self) -> None:
        self._stall = self.stalls.of(operation_of(self.command, self.path), self.path)

    @contextmanager
    def _held(self, stage: Stage) -> Iterator[None]:
        """Hold the request up here if that is asked, and note how long the client waits for it."""
        if self._stall is None or self._stall.stage != stage:
            yield
            return
        with self.stalls.holding():
            begun_s, waits = time.monotonic(), True
            while (passed_s := time.monotonic() - begun_s) < self._stall.seconds and not self.stalls.over.is_set():
                if waits and not self._waits():
                    self.stalls.waited_s.append(passed_s)
                    waits = False
                time.sleep(_LOOK_S)
            if waits:
                self.stalls.waited_s.append(time.monotonic() - begun_s)
            yield

    def _waits(self) -> bool:
        """Whether the client is still there."""
        if not select.select([self.connection], [], [], 0)[0]:
            return True
        try:
            return bool(self.connection.recv(1, socket.MSG_PEEK))
        except OSError:
            return False
