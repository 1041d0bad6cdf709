import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs.status import LastRun, app, read_status
from pipeline.errors import InvalidOutput
from pipeline.output.batches import write_rows
from pipeline.output.marker import claim_output
from pipeline.storage.store import Store
from tests.pipeline.made_commits import make_commit, put_commit
from tests.pipeline.output.test_schema import FAILURE


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(str(tmp_path / "out"))
    claim_output(store)
    return store


def commit(store: Store, video_id: str, minute: int = 0, **row: object) -> None:
    made = make_commit(video_id, minute=minute)
    video = {**made.video, **row}
    put_commit(store, replace(made, video=video))


def fail(store: Store, name: str, **changes: object) -> None:
    write_rows(store, "failures", name, [{**FAILURE, **changes}])


def at(minute: int) -> str:
    return f"2026-01-02T03:{minute:02}:00+00:00"


def test_an_output_without_a_video_is_all_zero(store: Store) -> None:
    status = read_status(store.url)
    assert (status.videos, status.frames, status.objects, status.bytes) == ({}, 0, 0, 0)
    assert (status.last_commit_at, status.failures, status.runs, status.last_run) == (None, (), (), None)


def test_committed_videos_are_counted(store: Store) -> None:
    commit(store, "a", minute=1)
    commit(store, "b", minute=9)
    commit(store, "c", status="truncated", minute=5)
    status = read_status(store.url)
    assert status.videos == {"complete": 2, "truncated": 1}
    # Every commit made here is of 2 frames and 2 objects.
    assert (status.frames, status.objects) == (6, 6)
    assert status.last_commit_at == datetime(2026, 1, 2, 3, 9, tzinfo=UTC)


def test_videos_that_need_a_prompt_are_named_with_the_frame(store: Store) -> None:
    commit(store, "whole")
    for index in (2, 1):
        commit(store, f"clip-{index}", status="needs_prompt", needs_prompt_frame=10 * index)
    status = read_status(store.url)
    assert status.videos == {"complete": 1, "needs_prompt": 2}
    assert status.needs_prompt == {"clip-1": 10, "clip-2": 20}
    shown = CliRunner().invoke(app, [store.url], env={"COLUMNS": "200"})
    for text in ("3 committed (1 complete, 2 needs_prompt)", "need a prompt", "clip-2", "20"):
        assert text in shown.output
    assert json.loads(CliRunner().invoke(app, [store.url, "--json"]).output)["needs_prompt"]["clip-1"] == 10


def test_the_command_limits_the_needs_it_prints(store: Store) -> None:
    for index in range(22):
        commit(store, f"v{index}", status="needs_prompt", needs_prompt_frame=0)
    assert "2 more: --json lists all" in CliRunner().invoke(app, [store.url]).output


def test_bytes_are_those_of_the_tables_files(store: Store) -> None:
    store.put("masks/a.parquet", b"12345")
    store.put("frames/a.parquet", b"123")
    assert read_status(store.url).bytes == 8


def test_how_far_the_last_run_is(store: Store) -> None:
    for run_id, videos in (("20260101T000000-a", 9), ("20260102T000000-b", 5)):
        record = {"run_id": run_id, "started_at": at(0), "videos": videos}
        store.put(f"_runs/{run_id}.json", json.dumps(record).encode())
    commit(store, "before", run_id="20260101T000000-a")
    commit(store, "now", run_id="20260102T000000-b")
    status = read_status(store.url)
    assert status.runs == ("20260101T000000-a", "20260102T000000-b")
    started_at = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)
    assert status.last_run == LastRun(run_id="20260102T000000-b", started_at=started_at, videos=5, committed=1)
    shown = CliRunner().invoke(app, [store.url]).output
    assert "1 of 5 videos committed, begun 2026-01-02 03:00:00 UTC" in shown


def test_the_latest_failure_of_a_video_is_shown(store: Store) -> None:
    fail(store, "a", video_id="v", message="second", failed_at=at(2))
    fail(store, "b", video_id="v", message="first", failed_at=at(1))
    (failure,) = read_status(store.url).failures
    assert (failure.video_id, failure.message, failure.row) == ("v", "second", 3)


def test_a_video_committed_since_is_no_failure(store: Store) -> None:
    fail(store, "f1", video_id="done", failed_at=at(1))
    commit(store, "done", minute=2)
    commit(store, "again", minute=2)
    fail(store, "f2", video_id="again", failed_at=at(3))
    assert [failure.video_id for failure in read_status(store.url).failures] == ["again"]


def test_a_folder_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidOutput, match="no vos-batch output"):
        read_status(str(tmp_path))


def test_the_command_prints_what_a_person_needs(store: Store) -> None:
    commit(store, "a")
    fail(store, "f1", video_id="[bold]v", message="no frame in [v.mp4]", failed_at=at(1))
    shown = CliRunner().invoke(app, [store.url], env={"COLUMNS": "200"}, catch_exceptions=False)
    assert shown.exit_code == 0
    for text in ("1 committed (1 complete)", "[bold]v", "no frame in [v.mp4]", "UnreadableVideo", "tries them again"):
        assert text in shown.output


def test_the_command_limits_the_failures_it_prints(store: Store) -> None:
    for index in range(22):
        fail(store, f"f{index}", video_id=f"v{index}")
    assert "2 more: --json lists all" in CliRunner().invoke(app, [store.url]).output


def test_json_is_for_programs(store: Store) -> None:
    commit(store, "a", minute=4)
    fail(store, "f1", video_id="v", failed_at=at(1))
    content = json.loads(CliRunner().invoke(app, [store.url, "--json"]).output)
    assert content["videos"] == {"complete": 1}
    assert content["last_commit_at"] == at(4)
    assert content["failures"][0]["message"] == "no frame"


def test_a_wrong_output_exits_with_2(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, [str(tmp_path)])
    assert shown.exit_code == 2
    assert "no vos-batch output" in shown.output
