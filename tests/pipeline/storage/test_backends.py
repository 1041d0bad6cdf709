"""Connections to stores: by environment, without a memory of listings, refused where nothing is known."""

import gc
import os
import sys
from typing import Any

import pytest

from pipeline.errors import InvalidInput
from pipeline.storage.backends import backend_of, s3_endpoint
from pipeline.storage.store import read_url


def test_the_environment_decides_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    first = backend_of("memory://x")
    assert backend_of("memory://y") is first
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert backend_of("memory://x") is not first


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("AWS_DEFAULT_REGION", "eu-west-1", (None, "eu-west-1")),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9/", ("http://127.0.0.1:9", "us-east-1")),
    ],
)
def test_the_server_of_s3(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: tuple[str | None, str]
) -> None:
    for setting in [setting for setting in os.environ if setting.startswith("AWS_")]:
        monkeypatch.delenv(setting)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv(name, value)
    assert s3_endpoint() == expected


def test_s3_connections_do_not_cache_listings() -> None:
    filesystem: Any = backend_of("s3://bucket")
    assert filesystem._filesystem.dircache.use_listings_cache is False


@pytest.mark.parametrize("url", ["htp://host/x", "gs://bucket/x"])
def test_a_store_that_nothing_here_knows_is_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)  # also where it happens to be installed
    with pytest.raises(InvalidInput, match=url.split("://")[0]):
        read_url(url)


def test_what_cannot_be_made_leaves_nothing_that_complains_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    complaints: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    with pytest.raises(InvalidInput, match=r"no store is known for ftp:// .* 'host'"):
        read_url("ftp://host.invalid/x")
    gc.collect()
    assert complaints == []


@pytest.mark.parametrize("host", ["127.0.0.1:PORT", "host:99999", "[::1"])
def test_a_web_address_without_a_server_is_refused(host: str) -> None:
    with pytest.raises(InvalidInput, match=r"names no server .*: correct the URL"):
        read_url(f"http://{host}/0.mp4")
