"""A proxy before an S3 server that refuses some requests, as a store does that is asked too much."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from tests.s3.proxy import Answer, Proxy, proxied
from tests.s3.servers import S3

_SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?>'
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)
_REFUSAL: Answer = (503, [("Content-Type", "application/xml")], _SLOW_DOWN, None)


class Throttle:
    """Counts the requests and says which are refused: called with their number, from 1, as they come."""

    def __init__(self, refuses: Callable[[int], bool], *, too_late: bool = False) -> None:
        self.seen: list[tuple[str, str]] = []
        """Method and path of all that came."""
        self.refused = 0
        self.too_late = too_late
        """Whether the server does what is asked before the refusal: its own answer is lost."""
        self._refuses = refuses
        self._lock = threading.Lock()

    def lets_pass(self, method: str, path: str) -> bool:
        with self._lock:
            self.seen.append((method, path))
            refused = self._refuses(len(self.seen))
            self.refused += refused
            return not refused


def throttled(server: S3, throttle: Throttle) -> AbstractContextManager[S3]:
    """The same server, through the proxy."""
    return proxied(server, _Throttling, throttle=throttle)


class _Throttling(Proxy):
    throttle: Throttle

    def _answer(self) -> None:
        # The body is read in both cases: what is left unread would look like the next request.
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        passes = self.throttle.lets_pass(self.command, self.path)
        answer = self.forwarded(body) if passes or self.throttle.too_late else _REFUSAL
        self.send(*(answer if passes else _REFUSAL))

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer
