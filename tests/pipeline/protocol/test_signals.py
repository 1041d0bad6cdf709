"""Ctrl-C or SIGTERM comes at each operation of a run, or nothing does: nothing committed is lost."""

import pytest

from tests.pipeline.protocol.proof import KINDS, Record, holds_everywhere, undisturbed


@pytest.mark.parametrize("kind", KINDS)
def test_at_every_operation(kind: str, record_property: Record) -> None:
    holds_everywhere(kind, "signal", record_property)


@pytest.mark.parametrize("kind", KINDS)
def test_an_undisturbed_run_is_done(kind: str) -> None:
    assert undisturbed(kind) == []
