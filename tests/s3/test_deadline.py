"""A server that takes requests and stays silent: each of them comes to an end."""

import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from pipeline.errors import StoreUnavailable
from pipeline.storage import backends
from pipeline.storage import failures as store_failures
from pipeline.storage.retry import Retry
from pipeline.storage.store import Store
from tests.s3.servers import BUCKET

DEADLINE_S = 1.0
REQUESTS: dict[str, Callable[[Store], object]] = {
    "put": lambda store: store.put("a", b"x"),
    "create": lambda store: store.create("a", b"x"),
    "get": lambda store: store.get("a"),
    "list": lambda store: store.list(),
    "delete": lambda store: store.delete("a"),
}


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for connection in taken:
            connection.close()


@pytest.mark.parametrize("request_name", REQUESTS)
def test_a_server_that_never_answers_is_given_up(
    silent: str, request_name: str, environment: pytest.MonkeyPatch
) -> None:
    for name, value in (
        ("AWS_ENDPOINT_URL", silent),
        ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "y"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        environment.setenv(name, value)
    environment.setattr(store_failures, "RETRY", Retry(first_s=0.1, total_s=1.0))
    environment.setattr(backends, "DEADLINE_S", DEADLINE_S)
    began_s = time.monotonic()
    with pytest.raises(StoreUnavailable):
        REQUESTS[request_name](Store(f"s3://{BUCKET}/{uuid.uuid4().hex}"))
    # One try or two; after a create what is stored is read as well.
    assert DEADLINE_S * 0.9 < time.monotonic() - began_s < DEADLINE_S * 4.5
