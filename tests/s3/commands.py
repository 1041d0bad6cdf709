"""`vos-batch segment` in processes that begin at once, forked from one that has imported everything.

All is the command's own, signals too, but for its workers, which need no time, and its weights, which are there.
"""

import json
import multiprocessing
import os
import sys
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from multiprocessing.context import ForkServerProcess

from jobs import cli
from jobs.terminal import launch
from pipeline.input.weights import load_network
from pipeline.output import lease
from pipeline.output.layout import WORK, driver_of, driver_path
from pipeline.run.config import WorkerConfig
from pipeline.run.pool import Pool
from pipeline.storage.store import Store
from tests.pipeline.protocol.drivers import InstantPool
from tests.s3.outputs import check_complete
from tests.s3.servers import BUCKET, S3
from tests.s3.stalls import Stall, Stalls, stalling

SHORT_LEASE = lease.LeaseTimes(refresh_s=0.3, stale_s=3.0, doubt_s=0.5)
_OPTIONS = ("--checkpoint", "untrained", "--device", "cpu", "--grace", "0")
_NETWORK = load_network("untrained")
VIDEOS = [f"v{number:02}" for number in range(12)]
COMMIT_S = 0.1
END_S = 120.0
"""A run that nobody disturbs is over long before."""


@dataclass(frozen=True)
class Room:
    """A server whose commits take 100 ms, and a manifest on it."""

    server: S3
    manifest: str
    options: tuple[str, ...]
    """What the server needs."""

    def output(self) -> Store:
        """A new one."""
        return Store(f"s3://{BUCKET}/{uuid.uuid4().hex}")

    def start(self, output: Store, max_side: int, *, short_lease: bool = False) -> ForkServerProcess:
        """A run in which replaced results go at once."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        arguments = ["segment", self.manifest, output.url, "--max-side", str(max_side), *_OPTIONS, *self.options]
        process = context.Process(target=_run, args=(arguments, self.server.environment, short_lease))
        process.start()
        return process

    def complete(self, output: Store, max_side: int) -> None:
        """A run that does what is missing."""
        assert end([self.start(output, max_side)], END_S) == [0]
        check_complete(output, set(VIDEOS))


@contextmanager
def room(server: S3, *options: str) -> Iterator[Room]:
    """On this server."""
    number = count()

    def late(operation: str, path: str) -> Stall | None:
        if operation != "PUT" or "/_commits/" not in path:
            return None
        # Some are not there yet, some are there already, when a signal comes meanwhile.
        return Stall(stage="body" if next(number) % 2 else "answer", seconds=COMMIT_S)

    with stalling(server, Stalls(late)) as slow:
        yield Room(slow, _write_manifest(f"s3://{BUCKET}/{uuid.uuid4().hex}"), options)


def _run(arguments: list[str], environment: dict[str, str], short_lease: bool) -> None:
    os.environ.update(environment)
    quiet = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(quiet, descriptor)
    launch._pool = _pool
    launch.load_network = lambda _name: _NETWORK
    if short_lease:
        lease.LeaseTimes = lambda: SHORT_LEASE  # type: ignore[assignment,misc]
    sys.argv = ["vos-batch", *arguments]
    cli.main()


def _pool(config: WorkerConfig, *_given: object) -> Pool:
    return InstantPool(config)


def end(processes: Iterable[ForkServerProcess], within_s: float) -> list[int]:
    """Their exit codes. Raises AssertionError where one does not end in time."""
    codes = []
    for process in processes:
        process.join(within_s)
        assert process.exitcode is not None, f"process {process.pid} does not end within {within_s:g} s"
        codes.append(process.exitcode)
    return codes


def _write_manifest(folder: str) -> str:
    store = Store(folder)
    rows = []
    for name in VIDEOS:
        for file in (f"{name}.mp4", f"{name}.png"):
            store.put(file, name.encode())
        rows.append({"video_id": name, "video_uri": f"{name}.mp4", "mask_uri": f"{name}.png", "mask_frame": 0})
    store.put("manifest.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    return f"{folder}/manifest.jsonl"


def is_released(store: Store) -> bool:
    """Whether no driver holds the lease, nor looks as if it did."""
    numbers = [number for entry in store.list(WORK) if (number := driver_of(entry.name)) is not None]
    return not numbers or bool(json.loads(store.get(driver_path(max(numbers)))).get("released"))
