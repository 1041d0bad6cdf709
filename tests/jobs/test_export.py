import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from jobs.export import app
from tests.jobs.exports.outputs import FOLDER, Output, make_output


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Output:
    return make_output(tmp_path_factory.mktemp("output"))


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def test_it_says_what_was_written_and_what_is_missing(made: Output, tmp_path: Path) -> None:
    result = call(made.url, "--format", "davis", "--to", str(tmp_path / "to"), "--workers", "1", "--min-score", "0.75")
    assert result.exit_code == 0
    assert result.output.splitlines()[-6:] == [
        f"wrote 2 videos, 10 frames, 16 object-frames to file://{tmp_path}/to",
        "left out, as asked: 2 object-frames",
        "not in davis: 1 object ids that are too large (replaced by the lowest free ones; object_ids.json says which)",
        "not in davis: 16 scores (in the tables alone)",
        "not in davis: 18 uncertainties (in the tables alone)",
        "not in davis: 4 timestamps (in the tables alone)",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "coko"], "unknown format 'coko'; did you mean 'coco'?"),
        (["--format", "coco", "--only", "nobody"], "has no committed video nobody"),
        (["--format", "coco", "--frames", "copy"], "--manifest"),
    ],
)
def test_a_wrong_call_exits_with_2(made: Output, tmp_path: Path, arguments: list[str], message: str) -> None:
    result = call(made.url, "--to", str(tmp_path / "to"), *arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_it_runs_as_a_module_in_several_processes(made: Output, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "jobs.export", made.url, "--format", "sa-v", "--to", str(tmp_path / "to")]
    shown = subprocess.run([*command, "--workers", "2"], capture_output=True, text=True, check=True)
    assert "wrote 2 videos" in shown.stdout
    assert (tmp_path / f"to/{FOLDER}_manual.json").exists()
