"""A driver is frozen at each operation while another does more, or with other settings: nothing committed is lost."""

import pytest

from tests.pipeline.protocol.proof import KINDS, Record, holds_everywhere


@pytest.mark.parametrize("what", ["freeze beside other settings", "freeze beside a superset"])
@pytest.mark.parametrize("kind", KINDS)
def test_at_every_operation(kind: str, what: str, record_property: Record) -> None:
    holds_everywhere(kind, what, record_property)
