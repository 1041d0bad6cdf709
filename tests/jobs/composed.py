"""Clips that `vos-batch compose` makes, small and few."""

from pathlib import Path

from typer.testing import CliRunner

from jobs.cli import app
from tests.jobs.material import held_back

HELD_BACK = held_back(6)
"""Names of stills to compose of."""


def composed(folder: Path, stills: Path, *options: str) -> Path:
    arguments = ["compose", str(folder), "--stills", str(stills), "--clips", "3", "--frames", "6", "--side", "64"]
    result = CliRunner().invoke(app, [*arguments, *options])
    assert result.exit_code == 0, result.output
    return folder
