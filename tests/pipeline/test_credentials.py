"""Secrets in URLs: which are seen, and what is left of a text that holds them."""

import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.credentials import holds_credentials, without_credentials
from pipeline.errors import InvalidInput, SegmentationFailed

SECRET = st.from_regex(re.compile(r"[A-Za-z0-9+/=_-]*[A-Za-z][A-Za-z0-9+/=_-]{3}", re.ASCII), fullmatch=True)
HOLDERS = [
    "s3://KEY:{}@bucket/a b.mp4",
    "https://user:{}@host/x",
    "https://{}@host/x",
    "zip://a.mp4::s3://K:{}@bucket/z",
]
PLAIN = [
    "s3://bucket/a:b@c.mp4",
    "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/name/a@b.mp4",
    "abfs://container@account.dfs.core.windows.net/x",
    "http://host:8080/a@b.mp4",
    "https://host/x?versionId=3",
    "file:///data/a:b@c/d.mp4",
    "a folder/x:y@z.mp4?",
]


@pytest.mark.parametrize("pattern", HOLDERS)
@given(secret=SECRET)
def test_a_user_with_a_secret_is_seen_and_cut(pattern: str, secret: str) -> None:
    url = pattern.format(secret.replace("/", "") if pattern == HOLDERS[2] else secret)
    text = without_credentials(f"cannot open {url!r}: no answer")
    assert holds_credentials(url) and not holds_credentials(text.replace("***@", ""))
    assert f"{secret}@" not in text and text.endswith(": no answer")


@pytest.mark.parametrize("url", PLAIN)
def test_other_urls_stay(url: str) -> None:
    assert not holds_credentials(url)
    assert without_credentials(url) == url


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
    ],
)
@pytest.mark.parametrize("before", ["?", "?versionId=3&"])
def test_what_signs_a_url_is_cut(name: str, before: str) -> None:
    text = without_credentials(f"<https://host/a b.mp4{before}{name}=5ec2e7%2Fx&part=7> is not a video")
    assert text == f"<https://host/a b.mp4{before}{name}=***&part=7> is not a video"


def test_no_error_repeats_a_secret_wherever_it_travels() -> None:
    error = SegmentationFailed("video 'x' (https://host/v.mp4?X-Amz-Signature=5ec2e7): no", 3)
    assert pickle.loads(pickle.dumps(error)).args == error.args
    assert str(error) == "video 'x' (https://host/v.mp4?X-Amz-Signature=***): no" and error.frame_index == 3
    for shown in (repr(InvalidInput("s3://KEY:5ec2e7@bucket")), repr(error)):
        assert "5ec2e7" not in shown
