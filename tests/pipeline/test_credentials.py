"""Secrets in URLs: which are seen, and what is left of a text that holds them."""

import pickle
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.credentials import holds_credentials, without_credentials
from pipeline.errors import InvalidInput, SegmentationFailed

WORD = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1)
"""What may stand in a URL without being escaped, and much that may not."""
IN_AUTHORITY = WORD.filter(lambda secret: not set(secret) & {*"/?#"})
BASE_64 = st.text("AZaz059+/=", min_size=1)
PATH = st.text("ab0:@/.-?=&%#", max_size=30).filter(lambda path: "://" not in path)


def said(url: str) -> str:
    """What is left of a URL in a message that repeats it."""
    before, after = "cannot open '", "': no answer"
    text = without_credentials(before + url + after)
    assert text.startswith(before) and text.endswith(after)
    return text.removeprefix(before).removesuffix(after)


@pytest.mark.parametrize("scheme", ["s3", "s3a", "gs", "gcs", "az", "zip://a.mp4::s3"])
@given(secret=WORD)
def test_before_a_bucket_a_secret_may_hold_anything(scheme: str, secret: str) -> None:
    url = f"{scheme}://KEY:{secret}@bucket/a:b.mp4"
    assert holds_credentials(url)
    assert said(url) == f"{scheme}://***@bucket/a:b.mp4"


@pytest.mark.parametrize("scheme", ["https", "http", "git+https", "ftp", "sftp", "abfs", "zip://a.mp4::https"])
@given(user=IN_AUTHORITY, secret=IN_AUTHORITY)
def test_a_user_ends_at_the_last_at_sign_of_the_authority(scheme: str, user: str, secret: str) -> None:
    url = f"{scheme}://{user}:{secret}@host:80/a@b:c.mp4?d@e"
    assert holds_credentials(url)
    assert said(url) == f"{scheme}://***@host:80/a@b:c.mp4?d@e"


@given(token=IN_AUTHORITY)
def test_to_a_web_server_a_user_alone_is_a_secret(token: str) -> None:
    url = f"https://{token}@host/a@b:c.mp4"
    assert holds_credentials(url)
    assert said(url) == "https://***@host/a@b:c.mp4"


@pytest.mark.parametrize("user", ["user", "user@mail.org", ""])
@pytest.mark.parametrize("scheme", ["https", "ftp", "abfs"])
@given(secret=BASE_64)
def test_a_slash_that_nobody_escaped_ends_no_secret(scheme: str, user: str, secret: str) -> None:
    assume(not re.match(r"\d+/", secret))  # a port
    url = f"{scheme}://{user}:{secret}@host/x"
    assert holds_credentials(url)
    assert said(url) == f"{scheme}://***@host/x"


@pytest.mark.parametrize(
    "root",
    [
        "https://host",
        "http://host:8080",
        "http://[::1]",
        "http://[2001:db8::7]:8080",
        "hdfs://user@host:8020",
        "abfs://container@account.dfs.core.windows.net",
        "abfs://container@127.0.0.1:10000",
        "s3://bucket",
        "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/name",
        "zip://a.mp4::s3://bucket",
        "simplecache::https://host:443",
        "file://",
        "memory://a:b@c.mp4",
        "",
    ],
)
@given(path=PATH)
def test_other_urls_stay(root: str, path: str) -> None:
    url = f"{root}/{path}"
    assert not holds_credentials(url)
    assert said(url) == url


def test_a_port_is_no_secret_whatever_follows() -> None:
    """Whoever has a secret of digits and a slash has to escape the slash."""
    assert not holds_credentials("https://user:0/A000@host/x")
    assert holds_credentials("https://user:0%2FA000@host/x")
    for end in ("?a@b", "#a@b", "/a@b"):
        assert not holds_credentials(f"http://host:8080{end}") and not holds_credentials(f"http://host{end}")


@pytest.mark.parametrize(
    "name",
    [
        "X-Amz-Signature",
        "X-Amz-Credential",
        "X-Amz-Security-Token",
        "X-Goog-Signature",
        "Signature",
        "AWSAccessKeyId",
        "Key-Pair-Id",
        "sig",
        "token",
        "access_token",
        "api_key",
        "password",
        "pwd",
        "auth",
    ],
)
@pytest.mark.parametrize("before", ["?", "?versionId=3&", "?versionId=3;", "#"])
def test_what_signs_a_url_is_cut(name: str, before: str) -> None:
    text = without_credentials(f"<https://host/a b.mp4{before}{name}=5ec2e7%2Fx&part=7> is not a video")
    assert text == f"<https://host/a b.mp4{before}{name}=***&part=7> is not a video"


@given(value=WORD.filter(lambda value: "&" not in value and value[-1] not in "'\"<>)]},.;:"))
def test_whatever_the_value_is_none_of_it_is_left(value: str) -> None:
    assert said(f"https://host/v.mp4?sig={value}") == "https://host/v.mp4?sig=***"
    assert said(f"https://host/v.mp4?token={value}&part=7") == "https://host/v.mp4?token=***&part=7"


def test_no_error_repeats_a_secret_wherever_it_travels() -> None:
    error = SegmentationFailed("video 'x' (https://host/v.mp4?X-Amz-Signature=5ec2e7): no", 3)
    assert pickle.loads(pickle.dumps(error)).args == error.args
    assert str(error) == "video 'x' (https://host/v.mp4?X-Amz-Signature=***): no" and error.frame_index == 3
    for shown in (repr(InvalidInput("s3://KEY:5ec2e7@bucket")), repr(error)):
        assert "5ec2e7" not in shown
