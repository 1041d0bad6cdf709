"""Names below OUTPUT: safe everywhere, unique, and told apart again."""

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.output.layout import (
    attempt_name,
    commit_of,
    commit_path,
    driver_of,
    driver_path,
    new_run_id,
    rows_path,
    safe_name,
    video_of,
)

ids = st.text(min_size=1, max_size=100).filter(lambda text: text.isprintable())


@given(ids)
def test_safe_names_fit_every_store_and_reader(video_id: str) -> None:
    name = safe_name(video_id)
    assert len(name) <= 77
    assert name[0] not in "._-"
    assert all(c.isascii() and (c.isalnum() or c in "._-") for c in name)
    assert name.endswith("-" + hashlib.sha256(video_id.encode()).hexdigest()[:16])


def test_safe_names_stay_readable_and_apart() -> None:
    assert safe_name("day 1/cam-2.mp4").startswith("day_1_cam-2.mp4-")
    assert safe_name("a/b") != safe_name("a_b")
    assert safe_name("...") != safe_name("___")


@given(ids, st.integers(1, 10**6))
def test_an_attempts_file_tells_its_video(video_id: str, number: int) -> None:
    folder, _, file = rows_path("masks", video_id, attempt_name(new_run_id(), number)).partition("/")
    assert (folder, video_of(file)) == ("masks", safe_name(video_id))


@given(ids, st.text("0123456789abcdef", min_size=32, max_size=32))
def test_a_commits_file_tells_video_and_identity(video_id: str, identity: str) -> None:
    folder, _, file = commit_path(safe_name(video_id), identity).partition("/")
    assert (folder, commit_of(file)) == ("_commits", (safe_name(video_id), identity))


@given(st.integers(0, 10**9))
def test_a_drivers_file_tells_its_number(number: int) -> None:
    folder, _, file = driver_path(number).partition("/")
    assert (folder, driver_of(file)) == ("_work", number)


@pytest.mark.parametrize("name", ["notes.parquet", "a-0123456789abcdef-1.parquet", "probe.ab", "driver.", "x.json", ""])
def test_other_files_are_nobodys(name: str) -> None:
    assert video_of(name) is commit_of(name) is driver_of(name) is None


def test_run_ids_sort_by_time_and_differ() -> None:
    one, other = new_run_id(), new_run_id()
    assert one != other and re.fullmatch(r"\d{8}T\d{6}-[0-9a-f]{8}", one)
    assert one.partition("-")[0] <= other.partition("-")[0]
