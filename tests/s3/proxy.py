"""A proxy before an S3 server: what kinds of it do with a request stands in `throttle` and `stalls`."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.s3.servers import S3

Answer = tuple[int, list[tuple[str, str]], bytes, str | None]
"""Status, headers, body and the length that is told."""

_HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "expect"}


@contextmanager
def proxied(server: S3, kind: type["Proxy"], **attributes: object) -> Iterator[S3]:
    """The same server, through a proxy of this kind with these attributes."""
    handler = type("Handler", (kind,), {**attributes, "upstream": server.endpoint.removeprefix("http://")})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, name="proxy", kwargs={"poll_interval": 0.05})
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
    upstream: str

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
