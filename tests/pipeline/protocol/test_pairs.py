"""Two things happen, one after the other, wherever they can: nothing committed is lost."""

import pytest

from tests.pipeline.protocol.proof import KINDS, Record, pairs

PAIRED = ("crash", "lost answer", "signal", "freeze beside the same", "freeze beside other settings")


@pytest.mark.chaos
@pytest.mark.parametrize("second", PAIRED)
@pytest.mark.parametrize("first", PAIRED)
@pytest.mark.parametrize("kind", KINDS)
def test_at_every_two_operations(kind: str, first: str, second: str, record_property: Record) -> None:
    found = [*pairs(kind, first, second)]
    record_property("cases", len(found))
    assert [one for one in found if one[-1]] == []
