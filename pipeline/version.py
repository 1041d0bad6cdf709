"""Which vos-batch this is."""

import importlib.metadata
from functools import cache


@cache
def code_version() -> str:
    """Version of the installed vos-batch; "source" when it runs from a folder that is not installed."""
    try:
        return importlib.metadata.version("vos-batch")
    except importlib.metadata.PackageNotFoundError:
        return "source"
