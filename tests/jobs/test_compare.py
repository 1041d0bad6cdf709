"""`vos-batch compare`: what each sequence gained, and whether that is more than chance."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from jobs import cli
from jobs.evaluation.scores import SCORES
from tests.jobs.evaluation.scored import put_truth, put_video, shrinking

BEFORE = {"a": 0.2, "b": 0.5, "c": 0.9, "d [x]": 0.4}


def write(path: Path, scores: Mapping[str, float], **changed: object) -> Path:
    """A table with one object a sequence."""
    path.parent.mkdir(parents=True, exist_ok=True)
    same = {name: 0.5 for name in SCORES.names} | {"object_id": 1, "protocol": "davis2017", "num_frames": 9}
    rows = [{**same, "video_id": name, "J_and_F": value, **changed} for name, value in scores.items()]
    pq.write_table(pa.Table.from_pylist(rows, schema=SCORES), path)
    return path


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ["compare", *map(str, arguments)], env={"COLUMNS": "80"})


def lines(result: Result) -> list[list[str]]:
    assert result.exit_code == 0, result.output
    return [line.split() for line in result.output.splitlines()]


def test_each_sequence_is_compared_with_itself(tmp_path: Path) -> None:
    better = {name: value + gain for (name, value), gain in zip(BEFORE.items(), (0.05, 0.06, 0.04, 0.05), strict=True)}
    shown = lines(call(write(tmp_path / "1.parquet", BEFORE), write(tmp_path / "2.parquet", better)))
    assert ["a", "0.200", "0.250", "+0.050"] in shown
    assert ["d", "[x]", "0.400", "0.450", "+0.050"] in shown
    assert ["mean", "of", "4", "0.500", "0.550", "+0.050"] in shown
    assert ["standard", "error", "0.147", "0.145", "0.004"] in shown
    assert "better:" in shown[-1]


@pytest.mark.parametrize(("gains", "word"), [((-0.1, -0.11, -0.09, -0.1), "worse:"), ((0.3, -0.2, 0.0, 0.0), "no")])
def test_what_is_within_two_standard_errors_is_no_difference(
    tmp_path: Path, gains: tuple[float, ...], word: str
) -> None:
    after = {name: value + gain for (name, value), gain in zip(BEFORE.items(), gains, strict=True)}
    shown = lines(call(write(tmp_path / "1.parquet", BEFORE), write(tmp_path / "2.parquet", after)))
    assert shown[-1][0] == word


def test_a_folder_holds_a_table_a_fold(tmp_path: Path) -> None:
    for fold, names in enumerate(("ab", "c")):
        for which, gain in (("old", 0.0), ("new", 0.01)):
            write(tmp_path / which / f"{fold}.parquet", {name: BEFORE[name] + gain for name in names})
    shown = lines(call(tmp_path / "old", tmp_path / "new"))
    assert [row[0] for row in shown[1:4]] == ["a", "b", "c"]


def test_what_only_one_of_them_has_is_named(tmp_path: Path) -> None:
    one, two = write(tmp_path / "1.parquet", BEFORE), write(tmp_path / "2.parquet", {"a": 0.3, "e": 0.1})
    assert "4 sequences are in one of the results only: b, c, d [x], e" in call(one, two).output


def test_tables_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    one = write(tmp_path / "1.parquet", BEFORE)
    other = write(tmp_path / "2.parquet", {"z": 0.1})
    frames = write(tmp_path / "3.parquet", BEFORE, num_frames=8)
    twice = [write(tmp_path / "twice" / name, BEFORE) for name in ("x.parquet", "y.parquet")]
    (tmp_path / "text.parquet").write_text("no table")
    (tmp_path / "empty").mkdir()
    for after, message in (
        (other, "no sequence in common"),
        (frames, "a: the two results were scored on other objects or frames"),
        (twice[0].parent, "y.parquet: a, b, c, d [x] are in another table"),
        (tmp_path / "text.parquet", "text.parquet: is no table of `vos-batch evaluate --parquet`"),
        (tmp_path / "nothing.parquet", "nothing.parquet: no such table"),
        (tmp_path / "empty", "holds no table"),
    ):
        result = call(one, after)
        assert result.exit_code == 2 and message in result.output


def test_it_reads_what_evaluate_writes(tmp_path: Path) -> None:
    truth = put_truth(tmp_path / "davis", "v", shrinking(10, 10, 10, 10))
    for name, width in (("old", 5), ("new", 8)):
        put_video(str(tmp_path / name), "v", shrinking(10, width, width, 10))
        arguments = ["evaluate", str(tmp_path / name), "--truth", truth, "--parquet", str(tmp_path / f"{name}.parquet")]
        scored = CliRunner().invoke(cli.app, arguments)
        assert "mean over sequences: J&F 0." in scored.output and "standard error unknown" in scored.output
    assert call(tmp_path / "old.parquet", tmp_path / "new.parquet").exit_code == 0


def test_escapes_in_ids_do_not_reach_the_terminal(tmp_path: Path) -> None:
    evil = {"a\x1b[31m": 0.2, "b\nmean": 0.5}
    result = call(write(tmp_path / "1.parquet", evil), write(tmp_path / "2.parquet", evil))
    assert result.exit_code == 0 and "\x1b" not in result.output
    assert "a\\x1b[31m" in result.output and "b\\nmean" in result.output
