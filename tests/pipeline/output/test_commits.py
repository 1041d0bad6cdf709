"""Commits: written once, read back as they were, refused when they are not what they should be."""

import json
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import DamagedOutput, InvalidOutput
from pipeline.output.commits import create_commit, read_commit
from pipeline.output.layout import CommitFile, safe_name
from pipeline.output.schema import SCHEMA_VERSION
from pipeline.storage.store import Store
from tests.pipeline.made_commits import make_commit


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(f"memory://{uuid.uuid4().hex}" if request.param == "memory" else str(tmp_path / "out"))


def test_a_commit_is_read_back_as_it_was(store: Store) -> None:
    commit = make_commit("day 1/clip", driver=7)
    assert create_commit(store, commit)
    assert read_commit(store, commit.file) == commit
    (entry,) = store.list("_commits")
    assert entry.name == f"{safe_name('day 1/clip')}.{'a' * 32}.7.json"


def test_its_file_is_stable_json(store: Store) -> None:
    commit = make_commit("clip")
    create_commit(store, commit)
    data = store.get(commit.path)
    content = json.loads(data)
    assert content["schema_version"] == SCHEMA_VERSION
    assert data.decode() == json.dumps(content, sort_keys=True, indent=2) + "\n"


def test_a_commit_of_before_is_read(store: Store) -> None:
    """Without the number of its driver."""
    commit = make_commit("clip", driver=0)
    create_commit(store, commit)
    content = json.loads(store.get(commit.path))
    del content["driver"]
    store.put(commit.path, json.dumps(content).encode())
    assert read_commit(store, commit.file) == commit


def test_one_of_racing_commits_wins(store: Store) -> None:
    def attempt(number: int) -> list[bool]:
        return [create_commit(store, make_commit(f"clip-{i}", attempt=f"try-{number}")) for i in range(20)]

    with ThreadPoolExecutor(6) as pool:
        won = list(pool.map(attempt, range(6)))
    assert [sum(column) for column in zip(*won, strict=True)] == [1] * 20


def test_its_row_of_videos_names_its_files(store: Store) -> None:
    row = make_commit("clip", driver=3).row
    assert (row["driver"], row["masks_bytes"]) == (3, 10)
    assert row["frames_file"] == f"frames/{safe_name('clip')}-1.parquet"


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"schema_version": 1}', b"\xff"])
def test_an_unreadable_commit_names_its_path(store: Store, data: bytes) -> None:
    file = CommitFile(safe_name("clip"), "a" * 32, 1)
    store.put(file.path, data)
    with pytest.raises(DamagedOutput) as raised:
        read_commit(store, file)
    assert store.url_of(file.path) in str(raised.value) and "delete this file" in str(raised.value)


def test_a_commit_under_another_name_is_unreadable(store: Store) -> None:
    commit = make_commit("clip")
    create_commit(store, commit)
    other = CommitFile(safe_name("other"), "a" * 32, 1)
    store.put(other.path, store.get(commit.path))
    with pytest.raises(DamagedOutput, match="it is the commit"):
        read_commit(store, other)


def test_a_commit_of_a_newer_version_asks_for_it(store: Store) -> None:
    commit = make_commit("clip")
    create_commit(store, commit)
    newer = json.loads(store.get(commit.path)) | {"schema_version": SCHEMA_VERSION + 1}
    store.put(commit.path, json.dumps(newer).encode())
    with pytest.raises(InvalidOutput, match="install a newer vos-batch"):
        read_commit(store, commit.file)


@pytest.mark.parametrize("change", [{"colour": 1}, {"host": None}, {"identity": "b" * 32}, {"frames_expected": 2**63}])
def test_a_commit_needs_its_row_of_videos(change: Mapping[str, object]) -> None:
    commit = make_commit("clip")
    with pytest.raises((ValueError, OverflowError)):
        replace(commit, video={**commit.video, **change})
