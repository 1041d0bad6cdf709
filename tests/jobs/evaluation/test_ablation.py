"""The ablation: one row a variant, each scored on what it segmented itself, and gone on with, not repeated."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs.cli import app
from jobs.evaluation.ablation import variants
from model.segmenter import SegmenterConfig
from tests.jobs.composed import HELD_BACK, composed
from tests.jobs.material import write_stills


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    composed(folder, write_stills(folder / "stills", HELD_BACK), "--clips", "2")
    arguments = ["manifest", "build", "--layout", "davis", str(folder), "--output", str(folder / "clips.jsonl")]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    return folder


def ablate(output: Path, dataset: Path, *options: str) -> tuple[int, str]:
    arguments = ["ablate", str(output), "--manifest", str(dataset / "clips.jsonl"), "--truth", str(dataset)]
    result = CliRunner().invoke(app, [*arguments, "--checkpoint", "lite0-open", "--min-side", "0", *options])
    return result.exit_code, result.output


def test_a_table_of_the_chosen_variants(tmp_path: Path, dataset: Path) -> None:
    code, shown = ablate(tmp_path, dataset, "--only", "default", "--only", "first-last", "--only", "append")
    assert code == 0, shown
    table = (tmp_path / "ablation.md").read_text()
    assert table in shown
    rows = {cells[1].strip(): cells[2:-1] for cells in (line.split("|") for line in table.splitlines()[2:])}
    assert list(rows) == ["the defaults", "no bank: first and latest frame", "every frame, all appended"]
    banks = {name: int(cells[1].replace(",", "")) for name, cells in rows.items()}
    assert banks["no bank: first and latest frame"] < banks["the defaults"] <= banks["every frame, all appended"]
    assert all(0 < float(cells[0]) < 1 for cells in rows.values())


def test_a_second_call_goes_on(tmp_path: Path, dataset: Path) -> None:
    _, first = ablate(tmp_path, dataset, "--only", "default")
    masks = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("masks/*.parquet")}
    code, second = ablate(tmp_path, dataset, "--only", "default", "--only", "no-refine")
    assert code == 0 and masks
    assert {path: path.stat().st_mtime_ns for path in masks} == masks
    assert first.splitlines()[-2] in second


def test_every_variant_differs_from_the_defaults() -> None:
    found = variants(SegmenterConfig(), "a", without_confidence="b")
    settings = [(variant.segmenter, variant.checkpoint) for variant in found.values()]
    assert all(settings.count(one) == 1 for one in settings)
    assert next(iter(found)) == "default" and found["default"].segmenter == SegmenterConfig()


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--truth", "more"], "one truth for each manifest"), (["--only", "nothing"], "no variant nothing; there are")],
)
def test_wrong_calls_say_what_to_do(tmp_path: Path, dataset: Path, options: list[str], message: str) -> None:
    code, shown = ablate(tmp_path, dataset, *options)
    assert code == 2 and message in " ".join(shown.split())
