import json
import uuid
from pathlib import Path

import pytest

from pipeline.errors import InvalidOutput
from pipeline.output.commits import CommitLog
from pipeline.output.marker import check_output, claim_output
from pipeline.output.schema import SCHEMA_VERSION
from pipeline.storage.store import Store
from tests.pipeline.made_commits import make_commit


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(f"memory://{uuid.uuid4().hex}" if request.param == "memory" else str(tmp_path / "out"))


def test_claim_makes_a_new_folder_ours_once_and_again(store: Store) -> None:
    with pytest.raises(InvalidOutput, match="no vos-batch output"):
        check_output(store)
    claim_output(store)
    CommitLog(store).commit(make_commit("clip"))
    claim_output(store)
    check_output(store)
    assert json.loads(store.get("_vos-batch.json")) == {
        "format": "vos-batch",
        "schema_version": SCHEMA_VERSION,
    }


def test_claim_refuses_a_folder_of_something_else(store: Store) -> None:
    store.put("holiday.jpg", b"x")
    with pytest.raises(InvalidOutput, match=r"holiday\.jpg.*choose an empty or new folder"):
        claim_output(store)
    assert [entry.name for entry in store.list()] == ["holiday.jpg"]


@pytest.mark.parametrize(
    ("marker", "told"),
    [
        (b'{"format": "vos-batch", "schema_version": 999}', "999.*install a newer"),
        (b'{"format": "other", "schema_version": 1}', "no marker of vos-batch.*choose another folder"),
        (b"{", "no marker of vos-batch.*choose another folder"),
        (b"[]", "no marker of vos-batch.*choose another folder"),
        (b'{"format": "vos-batch"}', "no marker of vos-batch.*choose another folder"),
    ],
)
def test_claim_refuses_other_markers(store: Store, marker: bytes, told: str) -> None:
    store.put("_vos-batch.json", marker)
    with pytest.raises(InvalidOutput, match=told):
        claim_output(store)
    assert store.get("_vos-batch.json") == marker
