from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from jobs.report import app
from tests.jobs.exports.outputs import Output, make_output
from tests.jobs.reports.reading import summary


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Output:
    return make_output(tmp_path_factory.mktemp("output"))


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def test_it_says_what_was_written_and_where(made: Output, tmp_path: Path) -> None:
    result = call(made.url, "--to", str(tmp_path), "--manifest", made.manifest, "--price", "2.5", "--budget", "2")
    assert result.exit_code == 0
    assert result.output.splitlines()[-3:] == [
        "2 videos, 0 without a result, 10 pictures",
        f"2 object-frames to review: file://{tmp_path}/review.html",
        f"open file://{tmp_path}/index.html",
    ]
    assert summary(tmp_path)["health"]["receipt"]["price_per_hour"] == 2.5


def test_films_are_counted(made: Output, tmp_path: Path) -> None:
    result = call(made.url, "--to", str(tmp_path), "--manifest", made.manifest, "--proxy")
    assert result.exit_code == 0
    assert "2 videos, 0 without a result, 10 pictures, 2 films" in result.output
    assert len(list(tmp_path.rglob("video.mp4"))) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--manifest", "nowhere.jsonl"], "no such manifest"),
        (["--proxy"], "films are made of the videos"),
        (["--budget", "many"], "--budget is 'many'"),
        (["--model", "nowhere.json"], "no such model"),
    ],
)
def test_a_wrong_call_writes_nothing(made: Output, tmp_path: Path, arguments: list[str], message: str) -> None:
    result = call(made.url, "--to", str(tmp_path / "to"), *arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "to").exists()


def test_a_second_report_does_not_mix_with_the_first(made: Output, tmp_path: Path) -> None:
    assert call(made.url, "--to", str(tmp_path)).exit_code == 0
    result = call(made.url, "--to", str(tmp_path))
    assert result.exit_code == 2
    assert "is not empty" in result.output
