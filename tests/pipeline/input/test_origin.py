"""What a manifest may name, by where it lies."""

import uuid
from pathlib import Path

import pytest

from pipeline.errors import InvalidInput, InvalidManifest
from pipeline.input.manifest import read_manifest
from pipeline.input.origin import Allowed, Origin
from pipeline.storage.store import Store

NOTHING, LOCAL, HTTP = Allowed(), Allowed(local=True), Allowed(http=True)
STORES = ("s3://bucket/data", "gs://bucket/data", "memory://data", "https://host/data")


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("uri", ["s3://other/v.mp4", "gs://other/v.mp4", "az://other/v.mp4", "v.mp4", "../v.mp4"])
def test_a_manifest_of_a_store_may_name_object_stores_and_its_own(store: str, uri: str) -> None:
    origin = Origin(url=store, allowed=NOTHING)
    assert origin.resolve(uri).endswith("v.mp4")


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize(
    "uri", ["/etc/passwd", "~/v.mp4", "file:///etc/passwd", "FILE:///etc/passwd", "local:///etc/x"]
)
def test_local_files_need_an_option(store: str, uri: str) -> None:
    for refused in (NOTHING, HTTP):
        with pytest.raises(InvalidInput, match=r"file:///.* is on this machine.*--allow-local"):
            Origin(url=store, allowed=refused).resolve(uri)
    assert Origin(url=store, allowed=LOCAL).resolve(uri).startswith("file:///")


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("uri", ["http://169.254.169.254/latest", "https://other/v.mp4"])
def test_http_needs_an_option(store: str, uri: str) -> None:
    for refused in (NOTHING, LOCAL):
        with pytest.raises(InvalidInput, match=r"not in the manifest's store.*--allow-http"):
            Origin(url=store, allowed=refused).resolve(uri)
    assert Origin(url=store, allowed=HTTP).resolve(uri) == uri


@pytest.mark.parametrize(
    "uri", ["ftp://host/v.mp4", "simplecache::file:///etc/passwd", "zip://x::/etc/passwd", "memory://x"]
)
def test_no_option_allows_anything_else(uri: str) -> None:
    with pytest.raises(InvalidInput, match=r"not in the manifest's store: name s3://, gs:// or az://"):
        Origin(url="s3://bucket/data", allowed=Allowed(local=True, http=True)).resolve(uri)


@pytest.mark.parametrize("uri", ["/data/v.mp4", "v.mp4", "http://host/v.mp4", "s3://bucket/v.mp4"])
def test_a_local_manifest_is_the_callers_own(uri: str) -> None:
    assert Origin(url="file:///data", allowed=NOTHING).resolve(uri).endswith("v.mp4")


def test_every_row_and_field_that_names_too_much_is_told(tmp_path: Path) -> None:
    store = Store(f"memory://{uuid.uuid4().hex}")
    rows = [
        '{"video_id": "a", "video_uri": "/etc/passwd", "mask_uri": "a.png", "mask_frame": 0}',
        '{"video_id": "b", "video_uri": "b.mp4", "mask_uri": "http://host/b.png", "mask_frame": 0}',
        '{"video_id": "c", "video_uri": "c.mp4", "prompts": [{"frame_index": 0, "mask_uri": "file:///c.png"}]}',
    ]
    store.put("m.jsonl", "\n".join(rows).encode())
    with pytest.raises(InvalidManifest) as caught:
        read_manifest(store.url_of("m.jsonl"))
    told = str(caught.value)
    assert "row 1: video_uri: file:///etc/passwd is on this machine" in told
    assert "row 2: mask_uri: http://host/b.png is not in the manifest's store" in told
    assert "row 3: prompts[0]: mask_uri: file:///c.png is on this machine" in told
    assert len(read_manifest(store.url_of("m.jsonl"), Allowed(local=True, http=True))) == 3
