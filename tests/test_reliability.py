"""docs/reliability.md promises nothing that no test holds: each promise names tests, and each of them is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "reliability.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_named_test_is_there(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_promise_names_its_tests() -> None:
    promised = re.findall(r"^\| (\d+)\. ", TEXT, re.MULTILINE)
    held = re.findall(r"^\| (\d+) \| `tests/", TEXT, re.MULTILINE)
    assert promised == held == [str(number) for number in range(1, len(promised) + 1)]
    assert len(promised) >= 9
