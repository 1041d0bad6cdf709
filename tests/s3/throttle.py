"""A proxy before an S3 server that refuses some requests, as a store does that is asked too much."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.s3.servers import S3

_SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?>'
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)
Answer = tuple[int, list[tuple[str, str]], bytes, str | None]
"""Status, headers, body and the length that is told."""

_REFUSAL: Answer = (503, [("Content-Type", "application/xml")], _SLOW_DOWN, None)
_HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "expect"}


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


@contextmanager
def throttled(server: S3, throttle: Throttle) -> Iterator[S3]:
    """The same server, through the proxy."""
    handler = type("Handler", (Proxy,), {"throttle": throttle, "upstream": server.endpoint.removeprefix("http://")})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, name="throttle", kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield replace(server, endpoint=f"http://127.0.0.1:{proxy.server_port}")
        finally:
            proxy.shutdown()
            thread.join()


class Proxy(BaseHTTPRequestHandler):
    """Hands requests on to `upstream` and its answers back."""

    protocol_version = "HTTP/1.1"  # or clients that say `Expect: 100-continue` wait for ever
    disable_nagle_algorithm = True  # head and body are two writes
    throttle: Throttle
    upstream: str

    def _answer(self) -> None:
        # The body is read in both cases: what is left unread would look like the next request.
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        passes = self.throttle.lets_pass(self.command, self.path)
        answer = self.forwarded(body) if passes or self.throttle.too_late else _REFUSAL
        self.send(*(answer if passes else _REFUSAL))

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer

    def forwarded(self, body: bytes) -> Answer:
        upstream = http.client.HTTPConnection(self.upstream, timeout=60)
        try:
            # The signature covers Host: it stays what the client sent.
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
            headers["Content-Length"] = str(len(body))
            upstream.request(self.command, self.path, body, headers)
            response = upstream.getresponse()
            return response.status, response.getheaders(), response.read(), response.getheader("Content-Length")
        finally:
            upstream.close()

    def send(self, status: int, headers: list[tuple[str, str]], body: bytes, length: str | None) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        # The answer to HEAD tells the length of a body that it does not have.
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""
