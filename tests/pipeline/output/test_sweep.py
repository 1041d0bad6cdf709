"""After a sweep a plain glob reads what is committed and nothing else, whatever died on the way."""

import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.output.commits import CommitLog
from pipeline.output.layout import attempt_name, safe_name, video_of
from pipeline.output.sweep import sweep
from pipeline.storage.store import Store
from tests.pipeline.made_commits import make_commit, put_files

RUN_IDS = ("20260102T030405-0123abcd", "20260102T030406-abcd0123")


@pytest.fixture
def store() -> Store:
    return Store(f"memory://{uuid.uuid4().hex}")


def files(store: Store) -> set[str]:
    return {f"{table}/{entry.name}" for table in ("masks", "frames") for entry in store.list(table)}


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from("ab"), st.sampled_from(["dies", "commits", "dies after"])),
        max_size=8,
    )
)
def test_committed_files_stay_and_all_others_go(attempts: list[tuple[int, str, str]]) -> None:
    """Attempts of three videos under two settings; some die before the commit, some before superseding."""
    store = Store(f"memory://{uuid.uuid4().hex}")
    for number, (video, letter, end) in enumerate(attempts):
        attempt = attempt_name(RUN_IDS[number % 2], number)
        commit = put_files(store, make_commit(f"clip-{video}", letter * 32, attempt=attempt, minute=number))
        log = CommitLog(store)
        if end == "dies after":
            log.supersede = lambda _current: None  # type: ignore[method-assign]
        if end != "dies":
            log.commit(commit)
    log = CommitLog(store)
    log.settle({})
    sweep(store, log)
    committed = CommitLog(store).read_all()
    assert files(store) == {record.path for commit in committed for record in commit.files.values()}
    assert {safe_name(commit.video_id) for commit in committed} == {
        safe_name(f"clip-{video}") for video, _, end in attempts if end != "dies"
    }


def test_it_says_how_many(store: Store) -> None:
    put_files(store, make_commit("clip", attempt=attempt_name(RUN_IDS[0], 1)))
    assert sweep(store, CommitLog(store)) == 2
    assert sweep(store, CommitLog(store)) == 0


def test_files_that_are_not_ours_stay(store: Store) -> None:
    store.put("masks/notes.parquet", b"mine")
    store.put("masks/more/deep.parquet", b"mine")
    sweep(store, CommitLog(store))
    assert store.get("masks/notes.parquet") and store.get("masks/more/deep.parquet")


def test_a_video_with_one_file_needs_no_look_into_its_commit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    log = CommitLog(store)
    for index in range(5):
        log.commit(put_files(store, make_commit(f"clip-{index}", attempt=attempt_name(RUN_IDS[0], 1))))
    monkeypatch.delattr(Store, "get")
    assert sweep(store, CommitLog(store)) == 0


@pytest.mark.parametrize(
    "video_id", ["clip", "a-0123456789abcdef", "../x", "", "20260102T030405-0123abcd-1", "ü" * 300]
)
def test_the_video_of_a_file(video_id: str) -> None:
    safe = safe_name(video_id)
    assert video_of(f"{safe}-{attempt_name(RUN_IDS[0], 12)}.parquet") == safe
    assert video_of(f"{safe}.parquet") is None


def test_temporaries_of_killed_writers_go(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    commit = put_files(store, make_commit("clip", attempt=attempt_name(RUN_IDS[0], 1)))
    CommitLog(store).commit(commit)
    for folder in ("masks", "_commits", "_work"):
        left = tmp_path / folder / f".vos-batch-{uuid.uuid4().hex}.tmp"
        left.parent.mkdir(exist_ok=True)
        left.write_bytes(b"half")
    (tmp_path / "masks" / ".notes").write_bytes(b"mine")
    assert sweep(store, CommitLog(store)) == 3
    assert not list(tmp_path.rglob("*.tmp"))
    assert (tmp_path / "masks" / ".notes").exists() and all((tmp_path / r.path).exists() for r in commit.files.values())
