"""What a run was told and with what it ran: one JSON file a run, written by its driver, without secrets."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime

from pipeline.credentials import without_credentials
from pipeline.errors import InvalidOutput
from pipeline.output.layout import RUNS, run_path
from pipeline.storage.store import Store


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One run that had something to do."""

    run_id: str
    started_at: datetime
    videos: int
    """That it had to do."""
    code_version: str = ""
    python: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of the packages that matter."""
    config: Mapping[str, object] = field(default_factory=dict)
    """Of its workers."""
    exclusive: bool = True
    """Whether the store keeps conditional creates."""


def write_run(store: Store, record: RunRecord) -> None:
    """Raises InvalidOutput, StoreUnavailable."""
    content = {**asdict(record), "started_at": record.started_at.isoformat()}
    store.put(run_path(record.run_id), (without_credentials(json.dumps(content, indent=1)) + "\n").encode())


def run_ids(store: Store) -> tuple[str, ...]:
    """Of all runs that had something to do, oldest first."""
    return tuple(entry.name.removesuffix(".json") for entry in store.list(RUNS) if entry.name.endswith(".json"))


def read_run(store: Store, run_id: str) -> RunRecord:
    """What a run of this version or another one left.

    Raises FileNotFoundError, InvalidOutput naming a file that is none of these, StoreUnavailable.
    """
    path = run_path(run_id)
    try:
        content = json.loads(store.get(path))
        known = {name: value for name, value in content.items() if name in RunRecord.__dataclass_fields__}
        return RunRecord(**{**known, "started_at": datetime.fromisoformat(known["started_at"])})
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise InvalidOutput(f"{store.url_of(path)} is no record of a run ({error}): delete it") from error
