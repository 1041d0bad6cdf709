"""Chromium for tests: pages that are opened from a disk or a loopback server, whose every complaint fails the test."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
_ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


def need_chromium() -> None:
    """Skip the test where there is none. Not while modules are read: who leaves these tests out misses nothing."""
    pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if not CHROMIUM.exists():
        pytest.skip(f"needs {CHROMIUM}", allow_module_level=True)


@contextmanager
def launched() -> Iterator[Any]:
    """A browser of Playwright's."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(
    browser: Any, *, width: int = 1360, height: int = 860, scheme: str = "light", motion: str = "no-preference"
) -> Iterator[Any]:
    """An empty page; afterwards no script may have failed, nothing been missing, and nothing asked of another place."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion=motion
    )
    page = context.new_page()
    complaints: list[str] = []
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: _left(request) or complaints.append(f"{request.url}: {request.failure}"))
    page.on("request", lambda request: _at_home(request.url) or complaints.append(f"asked for {request.url}"))
    try:
        yield page
        assert complaints == []
    finally:
        context.close()


def _left(request: Any) -> bool:
    """Whether it was given up since another page was gone to."""
    return request.failure == "net::ERR_ABORTED"


def _at_home(url: str) -> bool:
    return url.startswith(("file://", "http://127.0.0.1:", "data:", "blob:"))


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder over HTTP on loopback: its URL."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
