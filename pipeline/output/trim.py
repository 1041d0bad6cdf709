"""Records of long ago: what is known of runs and their failures does not grow without end."""

from pipeline.output.layout import RUNS
from pipeline.storage.store import Store

_DAYS = 90
_KEPT_FILES = 100
"""Of each kind, however old."""


def trim(store: Store, *, now_s: float) -> int:
    """Delete files of `failures` and records of runs older than 90 days, but the newest hundred; how many these were.

    `now_s`: seconds since the epoch by the store's clock. Raises StoreUnavailable, InvalidOutput.
    """
    before_s = now_s - _DAYS * 86_400
    old = [
        f"{folder}/{entry.name}"
        for folder in ("failures", RUNS)
        # Both are named by run ids, which sort by time.
        for entry in [entry for entry in store.list(folder) if not entry.is_folder][:-_KEPT_FILES]
        if entry.modified_s is not None and entry.modified_s < before_s
    ]
    for path in old:
        store.delete(path)
    return len(old)
