"""How many cases tests of many have looked at, said at the end: they record it as the property "cases"."""

import pytest


@pytest.hookimpl
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    if cases := sum(int(number) for report in reports for name, number in report.user_properties if name == "cases"):
        terminalreporter.write_line(f"{cases} cases looked at")
