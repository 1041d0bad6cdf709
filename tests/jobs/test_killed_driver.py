"""The driver dies of kill -9 and is started again, as an operator does it: the tables are those of a quiet run."""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.output.lease import Lease, LeaseTimes
from pipeline.run.driver import run
from pipeline.run.pool import LocalPool
from pipeline.storage.store import Store
from tests.pipeline.corpus import HEIGHT, WIDTH, Corpus, config_for, digests
from tests.pipeline.media import moving_square, write_video

SEGMENT = (sys.executable, "-m", "jobs.segment")
SETTINGS = ("--checkpoint", "untrained", "--device", "cpu", "--min-side", "0")
WAIT_S = 300.0


@pytest.fixture(scope="module")
def corpus(corpus: Corpus) -> Corpus:
    """One video is so long that the others are committed while it goes on."""
    write_video(corpus.folder / "two.mp4", moving_square(300, HEIGHT, WIDTH))
    return corpus


def marked(mark: str) -> list[str]:
    """Command lines of the running processes with this mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # gone, or not ours to look at
            continue
    return found


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.ray
def test_a_driver_that_is_killed_is_started_again(corpus: Corpus, tmp_path: Path) -> None:
    """The new one waits until the lease of the dead one has run out."""
    output, mark = tmp_path / "out", uuid.uuid4().hex
    environment = {**os.environ, "VOS_BATCH_TEST_MARK": mark}  # all that a driver starts inherits it
    call = [*SEGMENT, corpus.manifest, str(output), *SETTINGS, "--workers", "2"]
    driver = subprocess.Popen(call, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: any((output / "_commits").glob("*.json")), "nothing is committed")
    driver.kill()
    driver.wait()
    before = digests(str(output))
    assert 2 <= len(before) < 8  # masks and frames of some of the four
    again = subprocess.run(call, env=environment, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert again.returncode == 0, again.stderr
    assert "another driver (host " in again.stdout and "may still live" in again.stdout
    quiet = config_for(tmp_path / "quiet")
    run(corpus.tasks, quiet, LocalPool(quiet))
    assert digests(str(output)) == digests(quiet.output)
    assert before.items() <= digests(str(output)).items()
    store = Store(str(output))
    assert [len(store.list(table)) for table in ("masks", "frames", "_commits")] == [4, 4, 4]
    # A worker that Ray was just starting gives up by itself, after a minute.
    wait_until(lambda: not marked(mark), "processes of the dead driver go on")


def test_a_second_driver_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    output = str(tmp_path / "out")
    call = [*SEGMENT, corpus.manifest, output, *SETTINGS, "--only", "walk"]
    store = Store(output)
    store.put("_vos-batch.json", b'{"format": "vos-batch", "schema_version": 1}')
    with Lease(store, "the first", times=LeaseTimes(refresh_s=0.2)):
        second = subprocess.run(call, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert second.returncode == 2
    assert f"{output} is being written by another driver" in second.stderr
    assert f"pid {os.getpid()}, run_id the first" in second.stderr
    assert digests(output) == {}
