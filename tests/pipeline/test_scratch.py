"""Scratch folders: of this process alone, gone with it or after it."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pipeline.scratch import Scratch

_HOLDER = """
import sys, tempfile
from pipeline.scratch import Scratch
scratch = Scratch()
(scratch.folder / "data").write_bytes(b"x")
print(scratch.folder, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def holder() -> "subprocess.Popen[str]":
    """A process with a scratch folder, once it has it."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline()
    return process


def end(process: "subprocess.Popen[str]", number: int) -> None:
    process.send_signal(number)
    process.communicate()


def test_it_is_there_until_it_is_removed(folder: Path) -> None:
    with Scratch() as scratch:
        assert scratch.folder.parent == folder
        (scratch.folder / "data").write_bytes(b"x")
    assert list(folder.iterdir()) == []
    scratch.remove()


def test_what_killed_processes_leave_goes_with_the_next_one(folder: Path) -> None:
    for _ in range(15):
        pair = [holder(), holder()]
        for process in pair:
            end(process, signal.SIGKILL)
        assert len(list(folder.iterdir())) <= 2
    last = holder()
    assert len(list(folder.iterdir())) == 1
    end(last, signal.SIGKILL)


def test_those_of_living_processes_stay(folder: Path) -> None:
    living = holder()
    (held,) = folder.iterdir()
    end(holder(), signal.SIGKILL)
    end(holder(), signal.SIGTERM)
    other = holder()
    assert held in folder.iterdir() and (held / "data").read_bytes() == b"x"
    for process in (living, other):
        end(process, signal.SIGKILL)


def test_of_other_folders_with_such_a_name_only_empty_ones_go(folder: Path) -> None:
    (folder / "vos-batch-output").mkdir()
    (folder / "vos-batch-output" / "mine").write_bytes(b"x")
    (folder / "vos-batch-file").write_bytes(b"x")
    (folder / "vos-batch-empty").mkdir()
    process = holder()
    assert (folder / "vos-batch-output" / "mine").exists() and (folder / "vos-batch-file").exists()
    assert not (folder / "vos-batch-empty").exists()
    end(process, signal.SIGKILL)


def test_a_folder_that_is_taken_away_at_once_is_made_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, taken = tempfile.mkdtemp, []

    def mkdtemp(prefix: str) -> str:
        made = make(prefix=prefix)
        if not taken:
            os.rmdir(made)
        taken.append(made)
        return made

    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)
    with Scratch() as scratch:
        assert len(taken) == 2 and str(scratch.folder) == taken[1]
