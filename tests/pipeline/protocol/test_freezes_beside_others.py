"""A driver freezes at whichever of its operations while another one changes the settings, and thaws."""

import pytest

from tests.pipeline.protocol.histories import BEFORE, hold_at_every_operation


@pytest.mark.parametrize("kind", BEFORE)
def test_beside_other_settings(kind: str) -> None:
    hold_at_every_operation(kind, "freeze beside other settings")
