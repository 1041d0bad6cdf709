"""Secrets inside URLs: such URLs are refused, and nothing that is said or stored repeats the secret."""

import re

_USER = re.compile(
    r"\b(https?://)[^\s/?@]+@"
    r"|\b((?:s3a?|gs|gcs|az|abfss?)://)(?!arn:)[^\s/:@]*:[^\s@]*@"
    # What else has a colon may have a port; a file may be named so.
    r"|\b((?!file:|s3)[a-z][\w+.-]*://)[^\s/:@]*:(?!\d+/)[^\s@]*@",
    re.IGNORECASE,
)
_PARAMETER = re.compile(
    r"([?&][\w.%-]*(?:signature|sig|token|credential|secret|password|key|key-?(?:pair-)?id)=)[^&\s'\"<>)]+",
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
