"""`vos-batch benchmark`: tables that fit a terminal, values in a file, refusals."""

import json
from pathlib import Path

from typer.testing import CliRunner

from jobs.benchmark import app

SMALL = ["--checkpoint", "untrained", "--device", "cpu", "--height", "64", "--width", "96", "--frames", "1"]


def test_the_command_prints_narrow_tables_and_writes_all_values(tmp_path: Path) -> None:
    path = tmp_path / "costs.json"
    asked = [*SMALL, "--objects", "20", "--only", "objects", "--only", "mean", "--json", str(path)]
    shown = CliRunner().invoke(app, asked, env={"COLUMNS": "80"})
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert lines[0].startswith("untrained on ") and lines[0].endswith("with 1 thread")
    heading = lines.index("By number of objects, 64 x 96, every frame memorized") + 1
    assert lines[heading].split()[:4] == ["objects", "prec.", "s/frame", "CPU"]
    assert [line.split()[:2] for line in lines[heading + 1 : heading + 3]] == [["20", "fp32"], ["20", "bf16"]]
    assert all(len(line) <= 80 and "…" not in line for line in lines[heading : heading + 3])
    assert list(json.loads(path.read_text())["sections"]) == ["rates", "objects", "mean"]
    assert "measuring: 20 objects" in shown.stderr


def test_a_wrong_call_exits_with_2() -> None:
    for wrong, reason in ((["--only", "speed"], "no section speed"), (["--objects", "5000"], "do not fit")):
        shown = CliRunner().invoke(app, [*SMALL, *wrong])
        assert (shown.exit_code, reason in shown.output) == (2, True)
