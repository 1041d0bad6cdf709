"""Whatever ends a run at whichever of its operations, nothing committed is lost and the next run ends well."""

import pytest

from tests.pipeline.protocol.histories import BEFORE, hold_at_every_operation, undisturbed


@pytest.mark.parametrize("fault", ["crash", "lost answer", "signal"])
@pytest.mark.parametrize("kind", BEFORE)
def test_at_every_change(kind: str, fault: str) -> None:
    hold_at_every_operation(kind, fault)


@pytest.mark.parametrize("kind", BEFORE)
def test_an_undisturbed_run_is_done(kind: str) -> None:
    assert undisturbed(kind)
