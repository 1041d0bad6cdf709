"""Data as scripts that a page loads, for browsers refuse to fetch files that lie on a disk."""

import json

NAMESPACE = "vosBatch"
"""The one global name of the pages."""


def data_script(name: str, *arguments: object) -> bytes:
    """A script that calls the page's function of that name with JSON values.

    It is ASCII without a `<`, so nothing that an id holds ends a string, a line or an element wherever it is put.
    Raises ValueError for values that JSON lacks, such as NaN.
    """
    values = ",".join(
        json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c") for value in arguments
    )
    return f"{NAMESPACE}.{name}({values});\n".encode("ascii")
