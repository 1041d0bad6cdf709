"""URLs: relative ones, odd ones, roots, and credentials that must not be in them."""

from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InvalidInput
from pipeline.storage.fingerprints import Fingerprints
from pipeline.storage.store import Store, open_url, read_url
from pipeline.storage.urls import absolute_url, name_of, parent_url, resolve

NAME_PART = st.text("abcXYZ019 _-.é#?%", min_size=1, max_size=12).filter(lambda part: part.strip(". "))


@pytest.mark.parametrize("url", ["s3://KEY:5ec2e7/x@bucket/v.mp4", "https://user:5ec2e7@host/v.mp4"])
def test_credentials_inside_are_refused_and_not_repeated(url: str) -> None:
    for use in (
        absolute_url,
        read_url,
        open_url,
        Store,
        partial(resolve, base_url="s3://bucket"),
        Fingerprints().of,
    ):
        with pytest.raises(InvalidInput, match=r"://\*\*\*@.*holds credentials.*environment") as caught:
            use(url)
        assert "5ec2e7" not in str(caught.value)


@pytest.mark.parametrize("url", ["a\0b", "s3://bucket/a\0b"])
def test_a_zero_character_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"a\\x00b' holds a zero character"):
        absolute_url(url)


def test_another_name_of_local_files_is_that_of_local_files(tmp_path: Path) -> None:
    assert absolute_url(f"local://{tmp_path}/b") == f"file://{tmp_path}/b"


def test_local_paths_become_absolute_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute_url("a/../b/") == absolute_url(f"file://{tmp_path}/b") == f"file://{tmp_path}/b"
    assert absolute_url("S3://bucket/a b/") == "s3://bucket/a b"
    assert absolute_url("memory:///a/") == absolute_url("memory://a") == "memory://a"


@pytest.mark.parametrize(
    ("uri", "base", "expected"),
    [
        ("v/1.mp4", "s3://b/data", "s3://b/data/v/1.mp4"),
        ("../v/1.mp4", "s3://b/data", "s3://b/v/1.mp4"),
        ("../../../v", "s3://b/data", "s3://b/v"),
        ("./v", "s3://b", "s3://b/v"),
        ("../v", "file:///data/in", "file:///data/v"),
        ("v", "/data", "file:///data/v"),
        ("/abs/v", "s3://b/data", "file:///abs/v"),
        ("s3://c/v", "/data", "s3://c/v"),
        ("v", "memory://", "memory://v"),
    ],
)
def test_resolve(uri: str, base: str, expected: str) -> None:
    assert resolve(uri, base) == expected


@given(
    root=st.sampled_from(["s3://bucket", "memory://", "file:///"]),
    parts=st.lists(NAME_PART, min_size=1, max_size=4),
)
def test_parent_and_name_undo_a_join(root: str, parts: list[str]) -> None:
    url = Store(root).url_of("/".join(parts))
    assert name_of(url) == parts[-1]
    assert Store(parent_url(url)).url_of(parts[-1]) == url
    assert resolve("/".join(parts), root) == url


def test_roots_are_their_own_parents() -> None:
    for root in ("s3://bucket", "memory://", "file:///"):
        assert parent_url(root) == root
