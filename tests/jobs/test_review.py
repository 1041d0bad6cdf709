"""`vos-batch review fit` and `score`, as a user calls them."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from jobs import cli
from tests.jobs.evaluation.scored import put_truth
from tests.jobs.reviewing.made import box, put

TRUE = box(2, 2, 10, 10)
WRONG = box(20, 2, 10, 10)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ["review", *map(str, arguments)], env={"COLUMNS": "80"})


def made(output: str, root: Path, videos: int = 4) -> str:
    """Videos that are wrong where they are uncertain."""
    rng = np.random.default_rng(0)
    for number in range(videos):
        bad = rng.random(12) < 0.4
        bad[0] = False
        put(output, f"v{number}", [WRONG if b else TRUE for b in bad], uncertainty=[0.8 if b else 0.1 for b in bad])
        put_truth(root, f"v{number}", [TRUE] * 12)
    return str(root)


def test_fit_and_score(output: str, tmp_path: Path) -> None:
    truth = made(output, tmp_path / "truth")
    fitted = call("fit", output, "--truth", truth, "--to", tmp_path / "m.json")
    assert fitted.exit_code == 0, fitted.output
    assert "4 videos, 44 object-frames" in fitted.output
    assert "mean distance of expected from measured J: 0.0" in fitted.output
    result = call(
        "score", output, "--truth", truth, "--model", tmp_path / "m.json", "--plot", tmp_path / "c.svg",
        "--json", tmp_path / "n.json", "--parquet", tmp_path / "o.parquet",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.output.splitlines()]
    assert rows[0][:4] == ["4", "videos,", "44", "object-frames,"]
    (row,) = [row for row in rows if row[:2] == ["expected", "J"]]
    assert row[-3] == "1.00"
    assert json.loads((tmp_path / "n.json").read_text())["orders"]["expected J"]["auroc"] == pytest.approx(1)
    assert (tmp_path / "c.svg").exists() and (tmp_path / "o.parquet").exists()


def test_expected_J_stands_beside_the_tables(output: str, tmp_path: Path) -> None:  # noqa: N802
    made(output, tmp_path / "truth", videos=2)
    result = call("expect", output)
    assert (result.exit_code, result.output.split()[1]) == (0, "24")
    assert (Path(output) / "review" / "expected_j.parquet").exists()


def test_every_line_fits_a_terminal(output: str, tmp_path: Path) -> None:
    result = call("score", output, "--truth", made(output, tmp_path / "truth"))
    table = [line for line in result.output.splitlines() if line.startswith(("by", "expected J ", "oracle", "random"))]
    assert len(table) == 4
    assert max(map(len, table)) <= 80


def test_a_truth_for_each_output(output: str, tmp_path: Path) -> None:
    truths = [made(output + name, tmp_path / name, videos=2) for name in "ab"]
    both = ("--truth", truths[0], "--truth", truths[1])
    fitted = call("fit", output + "a", output + "b", *both, "--to", tmp_path / "m.json")
    assert "4 videos" in fitted.output, fitted.output
    refused = call("fit", output + "a", output + "b", output + "a", *both, "--to", tmp_path / "m.json")
    assert refused.exit_code == 2
    assert "3 outputs and 2 truths" in refused.output


@pytest.mark.parametrize(
    ("options", "reason"),
    [(("--model", "absent.json"), "no such model"), (("--plot", "c.gif"), ".png or .svg")],
)
def test_a_wrong_call_is_told_before_anything_is_read(
    output: str, tmp_path: Path, options: tuple[str, str], reason: str
) -> None:
    result = call("score", output, "--truth", made(output, tmp_path / "truth", videos=1), *options)
    assert (result.exit_code, reason in result.output) == (2, True), result.output


def test_a_folder_that_is_no_output(tmp_path: Path) -> None:
    truth = put_truth(tmp_path / "truth", "v", [TRUE])
    result = call("score", tmp_path, "--truth", truth)
    assert result.exit_code == 2
    assert result.output.startswith("error: ")
