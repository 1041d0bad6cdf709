"""What the tests of the commands share."""

from pathlib import Path

import pytest


@pytest.fixture
def output(tmp_path: Path) -> str:
    return str(tmp_path / "out")
