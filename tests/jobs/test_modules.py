"""Every command is a module of its own too: `python -m jobs.<name>`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(path.stem for path in (ROOT / "jobs").glob("*.py") if "__main__" in path.read_text())
WORDS = {
    "segment": ("MANIFEST", "OUTPUT", "--max-side", "--checkpoint"),
    "evaluate": ("OUTPUT", "--truth", "--resolution", "--all-frames", "--parquet"),
    "status": ("--json",),
    "verify": ("OUTPUT", "--json", "--repair"),
}
"""What the help of some must name."""
ONE_BY_ONE = """
import io, json, runpy, sys
from contextlib import redirect_stdout

shown = {}
for name in sys.argv[1:]:
    for loaded in [known for known in sys.modules if known.partition(".")[0] == "jobs"]:
        del sys.modules[loaded]
    sys.argv = [name, "--help"]
    with redirect_stdout(io.StringIO()) as said:
        try:
            runpy.run_module(f"jobs.{name}", run_name="__main__", alter_sys=True)
        except SystemExit as end:
            shown[name] = end.code, said.getvalue()
print(json.dumps(shown))
"""


@pytest.fixture(scope="module")
def helps() -> dict[str, tuple[int, str]]:
    """Exit code and output of each with --help, in one process in which each is the first of `jobs`."""
    call = [sys.executable, "-c", ONE_BY_ONE, *MODULES]
    environment = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run(call, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, tuple[int, str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", MODULES)
def test_it_runs_as_a_module(helps: dict[str, tuple[int, str]], name: str) -> None:
    code, shown = helps[name]
    assert code == 0 and "Usage:" in shown
    assert [word for word in WORDS.get(name, ()) if word not in shown] == []


def test_there_are_as_many_as_before() -> None:
    assert len(MODULES) >= 19 and WORDS.keys() <= set(MODULES)
