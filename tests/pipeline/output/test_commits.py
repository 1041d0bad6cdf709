import json
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import InvalidOutput
from pipeline.output.commits import Commit, CommitLog
from pipeline.output.layout import safe_name
from pipeline.output.schema import SCHEMA_VERSION
from pipeline.storage.store import Store
from tests.pipeline.made_commits import make_commit, put_files
from tests.pipeline.stores import exists


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(f"memory://{uuid.uuid4().hex}" if request.param == "memory" else str(tmp_path / "out"))


def names(store: Store, folder: str) -> list[str]:
    return [entry.name for entry in store.list(folder)]


def test_commit_is_read_back_as_it_was(store: Store) -> None:
    commit = make_commit("day 1/clip")
    assert CommitLog(store).commit(commit)
    assert CommitLog(store).read(commit.path) == commit
    assert CommitLog(store).read_all() == [commit]
    assert names(store, "_commits") == [f"{safe_name('day 1/clip')}.{'a' * 32}.json"]


def test_commit_file_is_stable_json(store: Store) -> None:
    commit = make_commit("clip")
    CommitLog(store).commit(commit)
    data = store.get(commit.path)
    content = json.loads(data)
    assert content["schema_version"] == SCHEMA_VERSION
    assert data.decode() == json.dumps(content, sort_keys=True, indent=2) + "\n"


def test_one_of_racing_commits_wins(store: Store) -> None:
    def attempt(number: int) -> list[bool]:
        log = CommitLog(store)
        return [log.commit(make_commit(f"clip-{i}", attempt=f"try-{number}")) for i in range(20)]

    with ThreadPoolExecutor(6) as pool:
        won = list(pool.map(attempt, range(6)))
    assert [sum(column) for column in zip(*won, strict=True)] == [1] * 20
    for commit in CommitLog(store).read_all():
        (winner,) = [n for n in range(6) if won[n][int(commit.video_id.removeprefix("clip-"))]]
        assert commit.video["run_id"] == f"run-try-{winner}"


def test_committed_again_is_refused_and_changes_nothing(store: Store) -> None:
    log = CommitLog(store)
    first = put_files(store, make_commit("clip", attempt="1"))
    assert log.commit(first)
    assert not log.commit(make_commit("clip", attempt="2", minute=1))
    assert log.read_all() == [first]
    assert all(exists(store, record.path) for record in first.files.values())


def test_commit_of_another_identity_supersedes(store: Store) -> None:
    old = put_files(store, make_commit("clip", "a" * 32, attempt="1"))
    other = put_files(store, make_commit("other", "a" * 32))
    new = put_files(store, make_commit("clip", "b" * 32, attempt="2", minute=1))
    log = CommitLog(store)
    for commit in (old, other, new):
        assert log.commit(commit)
    assert log.committed() == {safe_name("clip"): {"b" * 32}, safe_name("other"): {"a" * 32}}
    assert not any(exists(store, record.path) for record in old.files.values())
    assert all(exists(store, record.path) for commit in (new, other) for record in commit.files.values())


def test_superseding_keeps_files_that_the_new_commit_lists(store: Store) -> None:
    old = put_files(store, make_commit("clip", "a" * 32))
    new = make_commit("clip", "b" * 32, minute=1)
    log = CommitLog(store)
    assert log.commit(old) and log.commit(new)
    assert all(exists(store, record.path) for record in new.files.values())


def leave_two_commits(store: Store) -> tuple[Commit, Commit]:
    """What a driver leaves that is killed between its new commit and the end of the old one."""
    old = put_files(store, make_commit("clip", "f" * 32, attempt="1"))
    new = put_files(store, make_commit("clip", "b" * 32, attempt="2", minute=1))
    CommitLog(store).commit(new)
    store.delete(new.path)
    CommitLog(store).commit(old)
    scratch = Store(f"memory://{uuid.uuid4().hex}")
    CommitLog(scratch).commit(new)
    store.put(new.path, scratch.get(new.path))
    return old, put_files(store, new)


def test_of_two_commits_the_newer_is_read(store: Store) -> None:
    _, new = leave_two_commits(store)
    log = CommitLog(store)
    assert log.read_all() == [new]
    assert log.current() == {safe_name("clip"): new.identity}


@pytest.mark.parametrize("wanted", [0, 1])
def test_the_wanted_of_two_commits_stays(store: Store, wanted: int) -> None:
    both = leave_two_commits(store)
    log = CommitLog(store)
    log.settle({"clip": both[wanted].identity, "other": "c" * 32})
    assert log.read_all() == [both[wanted]]
    assert not any(exists(store, record.path) for record in both[1 - wanted].files.values())


@pytest.mark.parametrize("wanted", [{}, {"clip": "c" * 32}])
def test_of_two_commits_that_are_not_wanted_the_newer_stays(store: Store, wanted: dict[str, str]) -> None:
    """Its video is not in the manifest any more, or is to be segmented with other settings."""
    _, new = leave_two_commits(store)
    log = CommitLog(store)
    log.settle(wanted)
    assert log.read_all() == [new]


def test_is_committed_asks_one_listing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    CommitLog(store).commit(make_commit("clip-0"))
    calls = []
    listing = Store.list

    def counted(self: Store, folder: str = "") -> object:
        calls.append(folder)
        return listing(self, folder)

    monkeypatch.setattr(Store, "list", counted)
    for method in ("get", "open"):
        monkeypatch.delattr(Store, method)
    log = CommitLog(store)
    assert [i for i in range(50) if log.is_committed(f"clip-{i}", "a" * 32)] == [0]
    assert not log.is_committed("clip-0", "b" * 32)
    assert len(calls) == 1


def test_is_committed_knows_own_commits(store: Store) -> None:
    log = CommitLog(store)
    assert not log.is_committed("clip", "a" * 32)
    log.commit(make_commit("clip"))
    assert log.is_committed("clip", "a" * 32)


def test_reading_follows_a_commit_superseded_meanwhile(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    CommitLog(store).commit(make_commit("clip", "a" * 32))
    new = make_commit("clip", "b" * 32, attempt="2", minute=1)
    get = Store.get

    def superseded_first(self: Store, name: str) -> bytes:
        monkeypatch.setattr(Store, "get", get)
        CommitLog(store).commit(new)
        return get(self, name)

    monkeypatch.setattr(Store, "get", superseded_first)
    assert CommitLog(store).read_all() == [new]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"schema_version": 1}', b"\xff"])
def test_unreadable_commit_names_its_path(store: Store, data: bytes) -> None:
    name = f"_commits/{safe_name('clip')}.{'a' * 32}.json"
    store.put(name, data)
    with pytest.raises(InvalidOutput) as raised:
        CommitLog(store).read_all()
    assert store.url_of(name) in str(raised.value) and "delete this file" in str(raised.value)


def test_commit_of_a_newer_version_asks_for_it(store: Store) -> None:
    commit = make_commit("clip")
    CommitLog(store).commit(commit)
    newer = json.loads(store.get(commit.path)) | {"schema_version": SCHEMA_VERSION + 1}
    store.put(commit.path, json.dumps(newer).encode())
    with pytest.raises(InvalidOutput, match="install a newer vos-batch"):
        CommitLog(store).read_all()


@pytest.mark.parametrize("change", [{"colour": 1}, {"host": None}, {"identity": "b" * 32}])
def test_commit_needs_its_row_of_videos(store: Store, change: Mapping[str, object]) -> None:
    commit = make_commit("clip")
    with pytest.raises(ValueError, match=r"colour|host|identity"):
        CommitLog(store).commit(replace(commit, video={**commit.video, **change}))
    assert CommitLog(store).committed() == {}
