"""What return tests have found, as a table: OUTPUT/review/returns.parquet, or where the call says."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.reviewing.expected import FOLDER
from pipeline.errors import InvalidInput
from pipeline.output.batches import put_table
from pipeline.output.schema import column
from pipeline.storage.store import Store
from pipeline.storage.urls import name_of, parent_url

FILE = f"{FOLDER}/returns.parquet"

RETURNS = pa.schema(
    [
        column("video_id", pa.string(), "the manifest's video_id"),
        column("identity", pa.string(), "of the commit that was looked at, as in `videos`"),
        column("object_id", pa.int32(), "the id given by the prompts"),
        column(
            "return_j",
            pa.float64(),
            "J of the mask that came back against the one given at the object's first prompt; 0 where no later frame "
            "has a mask; null where the prompt has no pixel, or no frame follows it",
            unit="0..1",
            null=True,
        ),
        column("frames", pa.int64(), "from the first prompt to the mask with which the way back began", unit="frames"),
    ],
    metadata={"table": "returns"},
)
"""One row per object, by video and object."""


@dataclass(frozen=True, kw_only=True)
class Return:
    """How one object came back; fields as in RETURNS."""

    video_id: str
    identity: str
    object_id: int
    return_j: float | None
    frames: int


def read_returns(output: str, to: str | None) -> list[Return]:
    """What is kept in an output, or at the path or URL `to`; nothing where there is no such file.

    Raises InvalidInput for a file that is no such table, StoreUnavailable.
    """
    store, name = _place(output, to)
    try:
        table = pq.read_table(pa.BufferReader(store.get(name)))
    except FileNotFoundError:
        return []
    except pa.ArrowInvalid as error:
        raise InvalidInput(f"{store.url_of(name)} is no table of returns ({error}): delete it") from error
    if not table.schema.equals(RETURNS):
        raise InvalidInput(f"{store.url_of(name)} is no table of returns, or of another version: delete it")
    return [Return(**row) for row in table.to_pylist()]


def write_returns(output: str, to: str | None, returns: Iterable[Return]) -> str:
    """Replace what is kept; where it lies. Raises InvalidOutput, StoreUnavailable."""
    store, name = _place(output, to)
    rows = [asdict(one) for one in sorted(returns, key=lambda one: (one.video_id, one.object_id))]
    put_table(store, name, pa.Table.from_pylist(rows, schema=RETURNS))
    return store.url_of(name)


def _place(output: str, to: str | None) -> tuple[Store, str]:
    return (Store(output), FILE) if to is None else (Store(parent_url(to)), name_of(to))
