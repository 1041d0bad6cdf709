"""`vos-batch review return`, the command."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from jobs.review import app
from jobs.reviewing.returns_file import read_returns
from pipeline.run.driver import run
from pipeline.run.pool import LocalPool
from tests.pipeline.corpus import Corpus, config_for


@pytest.fixture(scope="module")
def made(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> str:
    output = str(tmp_path_factory.mktemp("made") / "out")
    config = config_for(output)
    run([task for task in corpus.tasks if task.video_id in ("two/objects", "span")], config, LocalPool(config))
    return output


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["return", *arguments, "--device", "cpu"], env={"COLUMNS": "80"})


def test_it_prints_the_worst_first_and_keeps_all(made: str, corpus: Corpus) -> None:
    shown = call(made, corpus.manifest)
    assert shown.exit_code == 0, shown.output
    lines = shown.output.splitlines()
    assert lines[0].split() == ["video", "object", "return", "J", "frames"]
    found = read_returns(made, None)
    assert len(found) == 3 and [line.split()[0] for line in lines[1:4]].count("two/objects") == 2
    values = [float(line.split()[2]) for line in lines[1:4]]
    assert values == sorted(values)
    assert lines[4].startswith("3 objects, mean 0.")
    assert lines[5] == f"wrote file://{made}/review/returns.parquet"


def test_another_ending_is_refused(made: str, corpus: Corpus, tmp_path: Path) -> None:
    shown = call(made, corpus.manifest, "--to", str(tmp_path / "returns.csv"))
    assert shown.exit_code == 2 and "ends in .parquet" in shown.output
