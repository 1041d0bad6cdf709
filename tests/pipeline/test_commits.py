import json
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from fsspec.core import url_to_fs
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import commits
from pipeline.commits import (
    Commit,
    CommitLog,
    check_output,
    claim_output,
    identity,
    sync_videos,
    video_identity,
    write_rows,
)
from pipeline.errors import InvalidOutput
from pipeline.manifest import PromptSource, VideoTask
from pipeline.schema import SCHEMA_VERSION, VIDEOS
from pipeline.storage import Store
from pipeline.writer import FileRecord, safe_name
from tests.pipeline.stores import exists


def make_commit(video_id: str, identity: str = "a" * 32, *, attempt: str = "1", minute: int = 0) -> Commit:
    """A commit made at 03:`minute`; the attempt names its files and its run."""
    files = {
        table: FileRecord(path=f"{table}/{safe_name(video_id)}-{attempt}.parquet", rows=2, bytes=10, sha256="0" * 64)
        for table in ("masks", "frames")
    }
    video = {
        "video_id": video_id,
        "status": "complete",
        "frames_expected": 2,
        "frames_decoded": 2,
        "width": 8,
        "height": 6,
        "fps": 25.0,
        "rotation": 0,
        "codec": "h264",
        "objects": [1, 3],
        "attempts": 1,
        "smaller_blocks": False,
        "resumed_from": None,
        "seconds_decode": 0.1,
        "seconds_network": 0.2,
        "seconds_write": 0.3,
        "seconds_total": 0.7,
        "gpu": None,
        "host": "h",
        "checkpoint": "c" * 16,
        "identity": identity,
        "code_version": "0.1.0",
        "committed_at": f"2026-01-02T03:{minute:02}:00+00:00",
        "run_id": f"run-{attempt}",
        "bad_packets": 0,
    }
    return Commit(video_id=video_id, identity=identity, files=files, video=video)


def put_files(store: Store, commit: Commit) -> Commit:
    for record in commit.files.values():
        store.put(record.path, b"rows")
    return commit


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(f"memory://{uuid.uuid4().hex}" if request.param == "memory" else str(tmp_path / "out"))


def names(store: Store, folder: str) -> list[str]:
    return [entry.name for entry in store.list(folder)]


# identity


TASK = VideoTask(
    video_id="v",
    video_uri="file:///videos/v.mp4",
    prompts=(
        PromptSource(frame_index=0, mask_uri="file:///m/0.png", object_ids=(1,)),
        PromptSource(frame_index=5, mask_uri="file:///m/5.png"),
    ),
    start_frame=0,
    end_frame=50,
    num_frames=60,
    height=6,
    width=8,
    metadata={"classes": {"1": "car"}},
    row=1,
)
INPUTS = {
    "video_fingerprint": "10-99",
    "mask_fingerprints": ["m0", "m5"],
    "checkpoint_fingerprint": "c0",
    "settings": {"max_side": 864, "bank": {"budget": 40_000, "merge_threshold": 0.95}},
}


def identity_of(task: VideoTask = TASK, **changes: object) -> str:
    return video_identity(task, **{**INPUTS, **changes})  # type: ignore[arg-type]


def with_first_prompt(**changes: object) -> VideoTask:
    return replace(TASK, prompts=(replace(TASK.prompts[0], **changes), TASK.prompts[1]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "other",
    [
        lambda: identity_of(replace(TASK, video_uri="file:///videos/w.mp4")),
        lambda: identity_of(replace(TASK, start_frame=1)),
        lambda: identity_of(replace(TASK, end_frame=None)),
        lambda: identity_of(with_first_prompt(frame_index=1)),
        lambda: identity_of(with_first_prompt(object_ids=(1, 2))),
        lambda: identity_of(with_first_prompt(object_ids=None)),
        lambda: identity_of(replace(TASK, prompts=TASK.prompts[:1]), mask_fingerprints=["m0"]),
        lambda: identity_of(video_fingerprint="11-99"),
        lambda: identity_of(mask_fingerprints=["m0", "other"]),
        lambda: identity_of(checkpoint_fingerprint="c1"),
        lambda: identity_of(settings={"max_side": 480, "bank": {"budget": 40_000, "merge_threshold": 0.95}}),
        lambda: identity_of(settings={"max_side": 864, "bank": {"budget": 40_000, "merge_threshold": 0.9}}),
    ],
)
def test_identity_changes_with_what_can_change_a_mask(other: Callable[[], str]) -> None:
    assert other() != identity_of()


@pytest.mark.parametrize(
    "task",
    [
        replace(TASK, num_frames=None),
        replace(TASK, height=1, width=1),
        replace(TASK, metadata={}),
        replace(TASK, row=9),
        with_first_prompt(mask_uri="s3://moved/0.png"),
    ],
)
def test_identity_stays_with_what_cannot(task: VideoTask) -> None:
    assert identity_of(task) == identity_of()


def test_identity_changes_with_the_result_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before = identity_of()
    monkeypatch.setattr(commits, "RESULT_VERSION", commits.RESULT_VERSION + 1)
    assert identity_of() != before


def test_identity_wants_a_fingerprint_for_every_prompt() -> None:
    with pytest.raises(ValueError, match="shorter"):
        identity_of(mask_fingerprints=["m0"])


@settings(deadline=None, max_examples=30)
@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=5))
def test_identity_ignores_the_order_of_keys(inputs: dict[str, object]) -> None:
    backwards = dict(reversed(inputs.items()))
    assert identity(backwards) == identity(inputs)
    assert len(identity(inputs)) == 32 and int(identity(inputs), 16) >= 0
    assert identity({**inputs, "one more": 1}) != identity(inputs)


def test_identity_refuses_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        identity({"rate": float("nan")})


# commits


def test_commit_is_read_back_as_it_was(store: Store) -> None:
    commit = make_commit("day 1/clip")
    assert CommitLog(store).commit(commit)
    assert CommitLog(store).read(commit.name) == commit
    assert CommitLog(store).read_all() == [commit]
    assert names(store, "_commits") == [f"{safe_name('day 1/clip')}.{'a' * 32}.json"]


def test_commit_file_is_stable_json(store: Store) -> None:
    commit = make_commit("clip")
    CommitLog(store).commit(commit)
    data = store.get(commit.name)
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
    store.delete(new.name)
    CommitLog(store).commit(old)
    scratch = Store(f"memory://{uuid.uuid4().hex}")
    CommitLog(scratch).commit(new)
    store.put(new.name, scratch.get(new.name))
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
    newer = json.loads(store.get(commit.name)) | {"schema_version": SCHEMA_VERSION + 1}
    store.put(commit.name, json.dumps(newer).encode())
    with pytest.raises(InvalidOutput, match="install a newer vos-batch"):
        CommitLog(store).read_all()


@pytest.mark.parametrize("change", [{"colour": 1}, {"host": None}, {"identity": "b" * 32}])
def test_commit_needs_its_row_of_videos(store: Store, change: Mapping[str, object]) -> None:
    commit = make_commit("clip")
    with pytest.raises(ValueError, match=r"colour|host|identity"):
        CommitLog(store).commit(replace(commit, video={**commit.video, **change}))
    assert CommitLog(store).committed() == {}


# marker


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
    assert names(store, "") == ["holiday.jpg"]


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


# the table of videos


def videos(store: Store) -> list[tuple[str, str]]:
    """(video_id, identity) of every row, read as any other tool reads the folder."""
    filesystem, root = url_to_fs(store.url)
    if not store.list("videos"):
        return []
    table = ds.dataset(f"{root}/videos", filesystem=filesystem, format="parquet").to_table()
    assert table.schema.equals(VIDEOS)
    return sorted(zip(table["video_id"].to_pylist(), table["identity"].to_pylist(), strict=True))


def test_sync_videos_writes_one_row_a_video_in_one_file(store: Store) -> None:
    log = CommitLog(store)
    for index in range(3):
        log.commit(make_commit(f"clip-{index}"))
    sync_videos(store)
    assert videos(store) == [(f"clip-{index}", "a" * 32) for index in range(3)]
    assert len(store.list("videos")) == 1


def test_sync_videos_touches_nothing_that_is_right(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    log = CommitLog(store)
    log.commit(make_commit("clip-0"))
    sync_videos(store)
    before = store.list("videos")
    log.commit(make_commit("clip-1"))
    sync_videos(store)
    assert before[0] in store.list("videos") and len(store.list("videos")) == 2
    after = store.list("videos")
    monkeypatch.setattr(CommitLog, "read", None)
    sync_videos(store)
    assert store.list("videos") == after


def test_sync_videos_drops_stale_and_repeated_rows(store: Store) -> None:
    log = CommitLog(store)
    first = [make_commit(f"clip-{index}") for index in range(3)]
    for commit in first:
        log.commit(commit)
    sync_videos(store)
    write_rows(store, "videos", "repeated", [first[1].video, first[1].video])
    write_rows(store, "videos", "gone", [make_commit("gone").video])
    log.commit(make_commit("clip-0", "b" * 32, attempt="2", minute=1))
    sync_videos(store)
    assert videos(store) == [("clip-0", "b" * 32), ("clip-1", "a" * 32), ("clip-2", "a" * 32)]
    assert "gone.parquet" not in names(store, "videos")


def test_sync_videos_names_an_unreadable_file(store: Store) -> None:
    store.put("videos/x.parquet", b"no parquet")
    with pytest.raises(InvalidOutput, match=r"videos/x\.parquet.*delete this file"):
        sync_videos(store)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("ab"), st.booleans()), max_size=8))
def test_sync_videos_ends_at_the_commits(steps: list[tuple[int, str, bool]]) -> None:
    store = Store(f"memory://{uuid.uuid4().hex}")
    log = CommitLog(store)
    for minute, (video, letter, sync) in enumerate(steps):
        log.commit(make_commit(f"clip-{video}", letter * 32, attempt=str(minute), minute=minute))
        if sync:
            sync_videos(store)
    sync_videos(store)
    assert videos(store) == sorted((c.video_id, c.identity) for c in log.read_all())
