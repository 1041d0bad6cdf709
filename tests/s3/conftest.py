"""Servers for the session, and the environment of a process that uses one."""

import os
from collections.abc import Iterator

import pytest

from tests.s3 import servers
from tests.s3.commands import Room, room
from tests.s3.servers import S3, use


@pytest.fixture(scope="session")
def moto_server() -> Iterator[S3]:
    with servers.moto() as server:
        yield server


@pytest.fixture(scope="session")
def rclone_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with servers.rclone(tmp_path_factory.mktemp("rclone")) as server:
        yield server or pytest.skip("rclone is not installed")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Of this process, without the machine's own AWS settings and outside of a Ray cluster."""
    for name in [*os.environ]:
        if name.startswith("AWS_") or name in ("RAY_ADDRESS", "RAY_JOB_ID"):
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture
def moto_room(moto_server: S3, environment: pytest.MonkeyPatch) -> Iterator[Room]:
    """Runs of the command on a server that keeps conditional creates."""
    use(moto_server, environment)
    with room(moto_server) as found:
        yield found


@pytest.fixture
def rclone_room(rclone_server: S3, environment: pytest.MonkeyPatch) -> Iterator[Room]:
    """Runs of the command on a server that ignores conditional creates."""
    use(rclone_server, environment)
    with room(rclone_server, "--not-exclusive") as found:
        yield found


@pytest.fixture(params=["moto_room", "rclone_room"])
def any_room(request: pytest.FixtureRequest) -> Room:
    """Each of them."""
    found: Room = request.getfixturevalue(request.param)
    return found
