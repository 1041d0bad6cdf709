"""A process that reads files with the code that users' files meet: it may say what is wrong, and nothing else happens.

`python -m tests.pipeline.input.reader` is that process: a line of JSON for each case, the file's bytes behind it.
"""

import json
import resource
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

from pipeline.errors import PipelineError
from pipeline.input.manifest import parse_manifest
from pipeline.input.masks import read_mask
from pipeline.input.video import open_video
from pipeline.input.weights import load_network, load_official
from pipeline.storage.store import Store

ROOT = Path(__file__).parents[3]
SIZE = (48, 64)
"""Of the videos and masks, in pixels."""
_MAX_PIXELS = 1 << 20
_PATIENCE_S = 60.0
"""Many times what a case takes on a busy machine."""


class Reader:
    """The process, begun again when it has died, hung or grown."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._normal_kb = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def measure(self, *cases: tuple[str, str, bytes]) -> None:
        """Read whole files (how, name, bytes): so much memory is normal."""
        for how, name, data in cases:
            outcome, peak_kb = self._ask(how, name, data)
            assert outcome == "read", (name, outcome)
            self._normal_kb = max(self._normal_kb, peak_kb)

    def read(self, how: str, name: str, data: bytes) -> str:
        """`read`, or the name of our error; fails for another error, a death, a hang, or twice the normal memory."""
        try:
            outcome, peak_kb = self._ask(how, name, data)
        except AssertionError:
            self._end()
            raise
        if peak_kb > 2 * self._normal_kb:
            self._end()
            raise AssertionError(f"{name}: {peak_kb} kB, where {self._normal_kb} are normal")
        assert not outcome.startswith("!"), outcome
        return outcome

    def _ask(self, how: str, name: str, data: bytes) -> tuple[str, int]:
        process = self._running()
        stdin, stdout = cast(BinaryIO, process.stdin), cast(BinaryIO, process.stdout)
        stdin.write(json.dumps({"how": how, "name": name, "bytes": len(data)}).encode() + b"\n" + data)
        stdin.flush()
        assert select.select([stdout], [], [], _PATIENCE_S)[0], f"{name}: hangs"
        answer = stdout.readline()
        assert answer, f"{name}: the process died of {process.wait()}"
        said = json.loads(answer)
        return said["outcome"], said["peak_kb"]

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            command = [sys.executable, "-m", "tests.pipeline.input.reader"]
            # What decoders and libraries tell of a damaged file is of no use here.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT
            )
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        self._process = None


def _read_video(store: Store, name: str) -> None:
    with open_video(store.url_of(name), max_pixels=_MAX_PIXELS) as reader:
        for _ in reader:
            pass


def _read_frames(store: Store, name: str) -> None:
    with open_video(store.url, max_pixels=_MAX_PIXELS) as reader:
        list(reader)


def _read_mask(store: Store, name: str) -> None:
    read_mask(store.get(name), name, size=SIZE)


def _read_manifest(store: Store, name: str) -> None:
    parse_manifest(store.url_of(name))


_READ: dict[str, Callable[[Store, str], object]] = {
    "video": _read_video,
    "frames": _read_frames,
    "mask": _read_mask,
    "manifest": _read_manifest,
    "checkpoint": lambda store, name: load_network(store.url_of(name)),
    "official": lambda store, name: load_official(store.url_of(name)),
}


def _outcome(how: str, name: str, data: bytes) -> str:
    store = Store("memory://reader")
    for entry in store.list():
        store.delete(entry.name)
    store.put(name, data)
    try:
        _READ[how](store, name)
    except PipelineError as error:
        return type(error).__name__ if name in str(error) or "memory://reader" in str(error) else f"! {error}"
    except BaseException as error:
        return f"! {type(error).__name__}: {error}"
    return "read"


def _serve(cases: BinaryIO, answers: BinaryIO) -> None:
    while line := cases.readline():
        case = json.loads(line)
        outcome = _outcome(case["how"], case["name"], cases.read(case["bytes"]))
        peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        answers.write(json.dumps({"outcome": outcome, "peak_kb": peak_kb}).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    _serve(sys.stdin.buffer, sys.stdout.buffer)
