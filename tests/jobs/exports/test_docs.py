"""What docs/exports.md says is so."""

import re
from pathlib import Path

import pytest

from jobs.exports.registry import FORMATS
from tests.jobs.exports.outputs import Output, exported

PAGE = (Path(__file__).parents[3] / "docs/exports.md").read_text()
SECTIONS = dict(re.findall(r"^## `([a-z-]+)`\n(.*?)(?=^## )", PAGE, re.MULTILINE | re.DOTALL))
RECIPES = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_every_format_has_its_section() -> None:
    assert list(SECTIONS) == list(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_a_section_says_what_the_format_cannot_hold(name: str) -> None:
    rows = re.findall(r"^\| (.+) \| (.+) \|$", SECTIONS[name], re.MULTILINE)
    assert rows[1:] == [(str(loss), what) for loss, what in FORMATS[name].lacks.items()][: len(rows)]
    assert max(0, len(rows) - 1) == len(FORMATS[name].lacks)


@pytest.mark.parametrize("recipe", RECIPES, ids=["datasets", "duckdb", "polars", "pandas", "events"])
def test_recipes_run(output: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: str) -> None:
    exported(output, "hf", tmp_path / "to")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path))
    folder = output.url.removeprefix("file://")
    exec(recipe.replace("OUTPUT", folder).replace("DEST", str(tmp_path / "to")), {})
