"""`ray job submit --working-dir . -- python -m jobs.segment`, to a head with token authentication on this machine."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.output import tables
from tests.pipeline.corpus import CHECKPOINT, Corpus
from tests.s3.servers import free_port, wait_until_it_listens

pytestmark = [pytest.mark.ray, pytest.mark.slow]

ROOT = Path(__file__).parent.parent.parent
TOKEN = "the-token-of-the-tests-and-long-enough"
WAIT_S = 240.0
_RAY = (sys.executable, "-m", "ray.scripts.scripts")
_OWN_PORTS = (
    "port",
    "dashboard-port",
    "dashboard-agent-listen-port",
    "dashboard-agent-grpc-port",
    "metrics-export-port",
    "runtime-env-agent-port",
    "ray-client-server-port",
)
"""Of a head that must not meet another cluster of this machine."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """A running head node."""

    dashboard: str
    environment: Mapping[str, str]
    """Of a process that may use it."""

    def submit(self, *entrypoint: str, **changes: str) -> "subprocess.CompletedProcess[str]":
        """Run a command there and wait for its end; `changes` are variables of this process."""
        command = [*_RAY, "job", "submit", "--address", self.dashboard, "--working-dir", str(ROOT), "--", *entrypoint]
        return subprocess.run(
            command,
            env={**self.environment, **changes},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=WAIT_S,
        )


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    environment = _environment(tmp_path_factory.mktemp("home"))
    ports = {name: free_port() for name in _OWN_PORTS}
    # Ray's sockets live below its folder, and their paths may not be long.
    folder = Path(tempfile.mkdtemp(prefix="vos-ray-", dir="/tmp"))
    options = [f"--{name}={port}" for name, port in ports.items()]
    command = [
        *_RAY,
        "start",
        "--head",
        "--block",
        "--node-ip-address=127.0.0.1",
        "--num-cpus=2",
        f"--temp-dir={folder}",
        *options,
    ]
    with (folder / "head.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until_it_listens(process, ports["dashboard-port"])
        yield Head(dashboard=f"http://127.0.0.1:{ports['dashboard-port']}", environment=environment)
    finally:
        _end(process)
        shutil.rmtree(folder, ignore_errors=True)


def _environment(home: Path) -> dict[str, str]:
    """A user's with the token; nothing of a cluster that this process may run in."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return {
        **kept,
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "RAY_USAGE_STATS_ENABLED": "0",
    }


def _end(process: "subprocess.Popen[bytes]") -> None:
    """`ray start --block` ends the processes that it started, and no other's, when it is told to end."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def segment(corpus: Corpus, output: Path) -> list[str]:
    settings = ["--checkpoint", CHECKPOINT, "--device", "cpu", "--min-side", "0", "--only", "span", "--only", "walk"]
    return ["python", "-m", "jobs.segment", corpus.manifest, str(output), *settings]


def test_a_submitted_job_segments(head: Head, corpus: Corpus, tmp_path: Path) -> None:
    done = head.submit(*segment(corpus, tmp_path / "out"))
    assert done.returncode == 0, done.stdout
    assert "2 videos (12 frames) segmented" in done.stdout
    assert tables.open(str(tmp_path / "out"), "frames").count_rows() == 12
    assert TOKEN not in done.stdout


@pytest.mark.parametrize(
    "changes", [{"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": ""}, {"RAY_AUTH_TOKEN": "a-wrong-token-of-some-length"}]
)
def test_it_is_refused_without_the_token(head: Head, tmp_path: Path, changes: dict[str, str]) -> None:
    done = head.submit("touch", str(tmp_path / "ran"), **changes)
    assert done.returncode != 0
    assert "authentication" in done.stdout.lower(), done.stdout
    assert not (tmp_path / "ran").exists()
