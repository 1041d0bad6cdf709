"""Nothing that a manifest or a file name holds reaches the terminal as anything but text on its own line."""

import json
import logging
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from jobs.cli import app
from jobs.terminal.console import exit_on_error, stdout
from jobs.terminal.printable import paragraph, printable
from pipeline.errors import InvalidInput
from tests.pipeline.corpus import CHECKPOINT, Corpus, write_rows

FORGED = "all 99 videos are complete"
EVIL = f"v\x1b[31mRED\x1b]0;title\x07\r\n{FORGED}\u2028{FORGED}\u202egnp.\u200b\x9b2J"
"""Colour, the title, a bell, forged lines of three kinds, a reversed name, an invisible space, a cleared screen."""
END = "-- the end of a command --"
RAW = ("\x1b[31m", "\x1b]0;", "\x07", "\x9b", "\u202e", "\u200b", "\u2028")


@pytest.fixture(scope="module")
def corpus(corpus: Corpus) -> Corpus:
    mask = {"mask_uri": "walk-0.png", "mask_frame": 0}
    name = EVIL.replace("/", "")
    (corpus.folder / f"{name}.mp4").write_bytes(b"no video at all")
    rows = (
        {"video_id": EVIL, "video_uri": "gone.mp4", **mask},
        {"video_id": "named", "video_uri": f"{name}.mp4", **mask},
        {"video_id": f"masked {EVIL}", "video_uri": "walk.mp4", "mask_uri": f"{name}.png", "mask_frame": 0},
    )
    write_rows(corpus.folder / "evil.jsonl", rows)
    write_rows(corpus.folder / "faulty.jsonl", ({"video_id": EVIL, "video_uri": EVIL, EVIL: 1, "start_frame": EVIL},))
    return corpus


def segment_arguments(corpus: Corpus, output: Path) -> list[str]:
    manifest = f"{corpus.url}/evil.jsonl"
    return ["segment", manifest, str(output), "--device", "cpu", "--min-side", "0", "--checkpoint", CHECKPOINT]


def assert_clean(shown: str) -> None:
    assert [mark for mark in RAW if mark in shown] == []
    assert [line for line in re.split("[\r\n\u2028]", shown) if line.strip().startswith(FORGED)] == []


ONE_BY_ONE = f"""
import json, sys
from jobs.cli import app

for arguments in json.loads(sys.argv[1]):
    try:
        app(arguments)
    except SystemExit:
        pass
    print({END!r}, flush=True)
"""


def in_terminal(*commands: list[str]) -> list[str]:
    """What each command writes into a terminal of 200 columns, one after the other in the same process."""
    ours, its = pty.openpty()
    environment = {**os.environ, "COLUMNS": "200", "TERM": "xterm", "NO_COLOR": "1"}
    call = [sys.executable, "-c", ONE_BY_ONE, json.dumps(commands)]
    with subprocess.Popen(call, stdin=its, stdout=its, stderr=its, env=environment, close_fds=True) as process:
        os.close(its)
        written = bytearray()
        while data := _read(ours):
            written += data
        process.wait()
    os.close(ours)
    *shown, rest = written.decode().split(f"{END}\r\n")
    assert (len(shown), rest) == (len(commands), ""), rest
    return shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the other side is closed
        return b""


@given(st.text())
def test_a_printable_text_is_one_line_and_says_what_it_was(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    if "\\" not in text:
        assert shown.encode("latin-1", "backslashreplace").decode("unicode_escape") == text
    if text.isprintable():
        assert shown == text


def test_names_that_are_not_utf_8_are_spelled() -> None:
    assert printable(os.fsdecode(b"a\xffb")) == "a\\udcffb"


def test_lines_after_the_first_are_indented() -> None:
    assert paragraph("a\nb\n  c\x1b") == "a\n  b\n  c\\x1b"


@pytest.fixture(scope="module")
def in_a_terminal(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What is shown there, by command."""
    output = tmp_path_factory.mktemp("terminal") / "out"
    commands = {
        "segment": segment_arguments(corpus, output),
        "status": ["status", str(output)],
        "check": ["manifest", "check", f"{corpus.url}/evil.jsonl"],
        "faulty": ["manifest", "check", f"{corpus.url}/faulty.jsonl"],
    }
    return dict(zip(commands, in_terminal(*commands.values()), strict=True))


def test_a_run_in_a_terminal(in_a_terminal: dict[str, str]) -> None:
    assert_clean(in_a_terminal["segment"])
    assert "failed: v\\x1b[31mRED\\x1b]0;title\\x07\\r\\nall 99" in in_a_terminal["segment"]


@pytest.mark.parametrize("command", ["status", "check", "faulty"])
def test_other_commands_in_a_terminal(in_a_terminal: dict[str, str], command: str) -> None:
    assert_clean(in_a_terminal[command])
    assert "\\x1b[31mRED" in in_a_terminal[command]


def test_programs_get_the_exact_ids(corpus: Corpus, tmp_path: Path) -> None:
    output = tmp_path / "out"
    CliRunner().invoke(app, segment_arguments(corpus, output))
    content = json.loads(CliRunner().invoke(app, ["status", str(output), "--json"]).stdout)
    assert EVIL in {failure["video_id"] for failure in content["failures"]}


command = typer.Typer(add_completion=False)


@command.command()
def fail(kind: str) -> None:
    """A command to which something happens."""
    with exit_on_error():
        if kind == "error":
            raise InvalidInput(EVIL)
        if kind == "bug":
            raise RuntimeError(EVIL)
        if kind == "log":
            logging.getLogger("pipeline.run").warning("%s:\n%s", EVIL, EVIL)
        stdout().print(EVIL)


@pytest.mark.parametrize(("kind", "code"), [("error", 2), ("bug", 1), ("log", 0), ("print", 0)])
def test_whatever_is_said(kind: str, code: int) -> None:
    result = CliRunner().invoke(command, [kind])
    assert result.exit_code == code
    assert_clean(result.output.replace(f"  {FORGED}", ""))  # an indented line is none of ours
    assert "\\x1b[31mRED" in result.output
    assert not any(line.startswith(FORGED) for line in result.output.splitlines())
