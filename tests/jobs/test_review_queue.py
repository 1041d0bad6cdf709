"""`vos-batch review queue`, the command."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from jobs import cli
from tests.jobs.evaluation.scored import labels, put_video, shrinking


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["review", "queue", *arguments], env={"COLUMNS": "200"})


@pytest.fixture
def shrunk(output: str) -> str:
    put_video(output, "[b]<script>\n", shrinking(*[10] * 20, *[1] * 10), uncertainty=[None, *[0.02] * 19, *[0.6] * 10])
    return output


def test_the_worst_are_shown_and_all_are_written(shrunk: str, tmp_path: Path) -> None:
    to = tmp_path / "queue.json"
    shown = call(shrunk, "--to", str(to), "--budget", "3")
    assert shown.exit_code == 0, shown.output
    items = json.loads(to.read_text())["items"]
    assert 1 <= len(items) <= 3
    assert 20 <= items[0]["frame_index"] < 30
    assert "area / 10.0 since frame" in shown.output
    assert "[b]<script>\\n" in shown.output, "an id is shown as it is, and never breaks a line"
    assert f"wrote file://{to}: {len(items)} items of 1 videos" in shown.output
    assert "expected to mend as much as" in shown.output


def test_an_output_that_is_right_has_an_empty_queue(output: str, tmp_path: Path) -> None:
    put_video(output, "v", labels(1, 1, 1), prompted=(0, 1, 2))
    shown = call(output, "--to", str(tmp_path / "queue.csv"))
    assert shown.exit_code == 0
    assert "0 items of 0 videos" in shown.output
    assert len((tmp_path / "queue.csv").read_text().splitlines()) == 1, "its columns alone"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--to", "queue.txt"], "a queue is a file that ends in .parquet, .csv, .json"),
        (["--to", "queue.csv", "--budget", "0%"], "give a share of the object-frames"),
        (["--to", "queue.csv", "--model", "nowhere.json"], "no such model"),
    ],
)
def test_a_wrong_call_exits_with_2_and_writes_nothing(
    shrunk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    shown = call(shrunk, *options)
    assert shown.exit_code == 2
    assert said in shown.output
    assert set(tmp_path.iterdir()) == before


def test_a_folder_that_is_no_output_is_named(tmp_path: Path) -> None:
    shown = call(str(tmp_path), "--to", str(tmp_path / "queue.csv"))
    assert shown.exit_code == 2
    assert "no vos-batch output" in shown.output
