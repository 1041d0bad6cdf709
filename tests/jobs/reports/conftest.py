"""What the tests of reports share."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.reports.report import write_report
from jobs.reports.reporter import Asked
from tests.jobs.exports.outputs import Output, make_output
from tests.jobs.reports.browser import launched, need_chromium


@pytest.fixture(scope="session")
def output(tmp_path_factory: pytest.TempPathFactory) -> Output:
    return make_output(tmp_path_factory.mktemp("output"))


@pytest.fixture(scope="session")
def report(output: Output, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with pictures."""
    folder = tmp_path_factory.mktemp("report")
    write_report(output.url, str(folder), Asked(manifest=output.manifest, price_per_hour=2.0))
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    need_chromium()
    with launched() as found:
        yield found
