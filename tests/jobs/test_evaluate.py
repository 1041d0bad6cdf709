"""`vos-batch evaluate`, the command."""

from pathlib import Path

import pyarrow.parquet as pq
from typer.testing import CliRunner, Result

from jobs import cli
from jobs.evaluate import app
from tests.jobs.evaluation.scored import labels, put_truth, put_video, shrinking, two_sequences


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "80"})


def test_the_command_prints_the_correlation(output: str, tmp_path: Path) -> None:
    put_video(output, "v", shrinking(10, 8, 4, 6), uncertainty=[None, 0.1, 0.2, 0.3])
    truth = put_truth(tmp_path / "davis", "v", labels(1, 1, 1, 1))
    shown = call(output, "--truth", truth, "--all-frames")
    assert "uncertainty against 1 - J: Spearman 0.50 over 3 object-frames" in shown.output


def test_the_command_says_nothing_of_a_correlation_that_is_not_there(output: str, tmp_path: Path) -> None:
    put_video(output, "v", shrinking(10, 5, 6), uncertainty=[None, 0.1, 0.2])
    shown = call(output, "--truth", put_truth(tmp_path / "davis", "v", labels(1, 1, 1)), "--all-frames")
    assert shown.exit_code == 0
    assert "Spearman" not in shown.output


def test_the_command_prints_objects_sequences_and_their_mean(output: str, tmp_path: Path) -> None:
    truth = two_sequences(output, tmp_path / "davis")
    shown = call(output, "--truth", truth, "--parquet", str(tmp_path / "scores.parquet"))
    assert shown.exit_code == 0, shown.output
    rows = [line.split() for line in shown.output.splitlines()]
    decay = ["0.000", "1.000", "1.000", "0.000"]
    assert ["pair", "[x]", "1", "2", "1.000", "1.000", "1.000", *decay] in rows
    assert ["pair", "[x]", "mean", "4", "0.750", "0.750", "0.750"] in [row[:7] for row in rows]
    assert ["all", "objects", "mean", "5", "0.833", "0.833", "0.833"] in [row[:7] for row in rows]
    assert f"wrote 3 rows to file://{tmp_path}/scores.parquet" in shown.output
    assert pq.read_table(tmp_path / "scores.parquet").num_rows == 3


def test_the_command_names_what_is_missing(output: str, tmp_path: Path) -> None:
    truth = two_sequences(output, tmp_path / "davis")
    put_video(output, "[b]", labels(1, 1, 1))
    put_truth(tmp_path / "davis", "lost", labels(1, 1, 1))
    shown = call(output, "--truth", truth, "--all-frames")
    assert shown.exit_code == 0
    assert "2 sequences, 3 objects, protocol all-frames" in shown.output
    assert "skipped: [b]: no folder of its name" in shown.output
    assert "1 sequences of the truth are not in this output: lost" in shown.output


def test_a_wrong_call_exits_with_2(output: str, tmp_path: Path) -> None:
    shown = call(output, "--truth", put_truth(tmp_path / "davis", "v", labels(1, 1, 1)))
    assert shown.exit_code == 2
    assert "no vos-batch output" in shown.output


def test_it_is_a_sub_command(output: str, tmp_path: Path) -> None:
    truth = two_sequences(output, tmp_path / "davis")
    assert CliRunner().invoke(cli.app, ["evaluate", output, "--truth", truth]).exit_code == 0
