"""What a skipped test is, in CI and elsewhere; tried on planted ones in a pytest of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INSIDE = "def test_inside(): pytest.skip('no rclone')"
MARK = "@pytest.mark.skipif(True, reason='{}')\ndef test_mark(): pass"
MODULE = "pytest.skip('no rclone', allow_module_level=True)"
IMPORT = "pytest.importorskip('not_there', reason='no rclone')"
EXPECTED_FAILURE = "@pytest.mark.xfail\ndef test_xfail(): assert False"


def run(folder: Path, *planted: str, ci: str = "true") -> tuple[int, str]:
    """Exit status and output of pytest on a file for each, with this project's settings."""
    for number, text in enumerate(planted):
        (folder / f"test_{number}.py").write_text(f"import pytest\n{text}\ndef test_other(): pass\n")
    call = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "-p", "tests.skips"]
    process = subprocess.run(
        [*call, "-p", "no:cacheprovider", str(folder)],
        cwd=ROOT,
        env={**os.environ, "CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
    )
    return process.returncode, process.stdout + process.stderr


def test_these_tests_are_judged(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.pluginmanager.has_plugin("tests.skips")


@pytest.mark.parametrize("planted", [(INSIDE, MARK.format("no rclone")), (MODULE, IMPORT)], ids=["tests", "modules"])
def test_in_ci_a_skipped_test_is_a_failure_that_is_named(tmp_path: Path, planted: tuple[str, ...]) -> None:
    status, said = run(tmp_path, *planted)
    summary = said.split("short test summary info")[1]
    assert status != 0 and "test_0.py" in summary and "test_1.py" in summary
    assert summary.count("no test may be skipped in CI. Skipped: no rclone") == 2


def test_what_names_hardware_or_missing_reference_data_is_excused_and_an_expected_failure_is_no_skip(
    tmp_path: Path,
) -> None:
    reasons = ["needs a GPU", "no CUDA here", "no reference data: /x is absent"]
    status, said = run(tmp_path, *map(MARK.format, reasons), EXPECTED_FAILURE)
    assert status == 0 and "4 passed, 3 skipped, 1 xfailed" in said


def test_elsewhere_a_skip_is_a_skip(tmp_path: Path) -> None:
    status, said = run(tmp_path, INSIDE, MODULE, ci="")
    assert status == 0 and "1 passed, 2 skipped" in said
