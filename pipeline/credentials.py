"""Secrets inside URLs: such URLs are refused, and nothing that is said or stored repeats the secret."""

import re

_USER = re.compile(
    # A bucket has no port, and its owner's secret may hold any of : @ / ? #.
    r"\b((?:s3a?|gs|gcs|az)://)(?!arn:)[^\s/?#:@]*:\S*@"
    r"|\b((?!file:|memory:|s3a?://arn:)[a-z][\w+.-]*://)(?![^\s/?#:]*\[[\da-f:.]+\](?::\d*)?[/?#])[^\s/?#:]*:"
    # A user ends at the last @ of the authority. If it has none, what follows the colon is a port, the next URL
    # of a chain (zip://a::s3://b), or a secret with a / that nobody has escaped.
    r"(?:[^\s/?#]*|(?!\d+[/?#]|:[a-z][\w+.-]*://)\S*)@"
    # To a web server a user without a password is a token.
    r"|(https?://)[^\s/?#]+@",
    re.IGNORECASE,
)
_PARAMETER = re.compile(
    r"([?&#;][\w.%-]*(?:signature|sig|token|credential|secret|passw(?:or)?d|pwd|auth|key|key-?(?:pair-)?id)=)"
    # A value may hold these characters; at its end they belong to the sentence around the URL.
    r"[^&\s]*[^&\s'\"<>)\]},.;:]",
    re.IGNORECASE,
)
_CUT = "***"


def holds_credentials(url: str) -> bool:
    """Whether a URL names a user with a password or key, as in `s3://KEY:SECRET@bucket` or `https://TOKEN@host`."""
    return "@" in url and _USER.search(url) is not None


def without_credentials(text: str) -> str:
    """The text with `***` for users and keys in URLs and for query values that grant access (X-Amz-Signature)."""
    text = _USER.sub(rf"\g<1>\g<2>\g<3>{_CUT}@", text)
    return _PARAMETER.sub(rf"\g<1>{_CUT}", text)
