"""A driver dies, or the answer to a request is lost, at each operation of a run: nothing committed is lost."""

import pytest

from tests.pipeline.protocol.proof import KINDS, Record, holds_everywhere


@pytest.mark.parametrize("what", ["crash", "lost answer"])
@pytest.mark.parametrize("kind", KINDS)
def test_at_every_operation(kind: str, what: str, record_property: Record) -> None:
    holds_everywhere(kind, what, record_property)
