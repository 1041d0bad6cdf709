"""A driver freezes at whichever of its operations while the same is run, thaws, and nothing committed is lost."""

import pytest

from tests.pipeline.protocol.histories import BEFORE, hold_at_every_operation


@pytest.mark.parametrize("kind", BEFORE)
def test_beside_the_same(kind: str) -> None:
    hold_at_every_operation(kind, "freeze beside the same")


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["freeze beside a subset", "freeze beside a superset"])
@pytest.mark.parametrize("kind", BEFORE)
def test_beside_other_videos(kind: str, fault: str) -> None:
    hold_at_every_operation(kind, fault)
