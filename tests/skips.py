"""In CI a skipped test is a failure: hardware that the machine lacks excuses it, and reference data that lie beside the
project in some places only."""

import os
import re
from collections.abc import Generator

import pytest

_EXCUSES = re.compile(r"\b(?:GPU|CUDA|no reference data)\b")


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outside of what tells an expected failure from a skip
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if not hasattr(report, "wasxfail"):
        _judge(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _judge(report)
    return report


def _judge(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get("CI") == "true" and report.skipped and isinstance(report.longrepr, tuple):
        path, line, reason = report.longrepr
        if not _EXCUSES.search(reason):
            report.outcome, report.longrepr = "failed", f"{path}:{line}: no test may be skipped in CI. {reason}"
