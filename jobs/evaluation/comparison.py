"""Two results on the same videos, sequence by sequence: whether one is better than the other."""

import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.datasets import listing
from model.estimate import Estimate, estimate, paired_difference
from pipeline.errors import InvalidInput
from pipeline.input.frame_folder import natural_key
from pipeline.storage.store import Store, is_folder, read_url
from pipeline.storage.urls import absolute_url

_SUFFIX = ".parquet"
_COLUMNS = ("video_id", "object_id", "protocol", "num_frames", "J_and_F")


@dataclass(frozen=True, kw_only=True)
class Pair:
    """J&F of a sequence, mean over its objects, in both results."""

    video_id: str
    before: float
    after: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What both results have in common."""

    pairs: tuple[Pair, ...]
    """In natural order of their ids, at least one."""
    alone: tuple[str, ...]
    """Sequences that only one of the results has."""

    @property
    def before(self) -> Estimate:
        """Mean over the sequences."""
        return estimate([pair.before for pair in self.pairs])

    @property
    def after(self) -> Estimate:
        """Mean over the sequences."""
        return estimate([pair.after for pair in self.pairs])

    @property
    def difference(self) -> Estimate:
        """Mean of what each sequence gained."""
        return paired_difference([pair.before for pair in self.pairs], [pair.after for pair in self.pairs])


def compare(before: str, after: str) -> Comparison:
    """Compare the scores at two paths or URLs: each a table of `write_scores`, or a folder of some (one a fold).

    Raises InvalidInput for what is no such table, sequences that are in several of them or were scored in another
    way, and results without a common sequence; StoreUnavailable.
    """
    old, new = _read(before), _read(after)
    common = sorted(old.keys() & new.keys(), key=natural_key)
    if not common:
        raise InvalidInput(f"{before} and {after} have no sequence in common: score both on the same videos")
    for video_id in common:
        _check_alike(video_id, old[video_id], new[video_id])
    return Comparison(
        pairs=tuple(Pair(video_id=name, before=_mean(old[name]), after=_mean(new[name])) for name in common),
        alone=tuple(sorted(old.keys() ^ new.keys(), key=natural_key)),
    )


_Rows = Sequence[Mapping[str, Any]]


def _mean(rows: _Rows) -> float:
    return fmean(row["J_and_F"] for row in rows)


def _check_alike(video_id: str, old: _Rows, new: _Rows) -> None:
    same = ("object_id", "protocol", "num_frames")
    if {tuple(row[name] for name in same) for row in old} != {tuple(row[name] for name in same) for row in new}:
        raise InvalidInput(
            f"{video_id}: the two results were scored on other objects or frames, or by another protocol; "
            "score both against the same truth with the same options"
        )


def _read(url: str) -> dict[str, list[dict[str, Any]]]:
    """Rows by video_id."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for name, data in _tables(url):
        rows = _rows(name, data)
        if twice := sorted({row["video_id"] for row in rows} & found.keys()):
            raise InvalidInput(f"{name}: {listing.few(twice)} are in another table of {url} too; keep one of them")
        for row in rows:
            found[row["video_id"]].append(row)
    return found


def _tables(url: str) -> list[tuple[str, bytes]]:
    try:
        if not is_folder(absolute_url(url)):
            return [(absolute_url(url), read_url(url))]
    except FileNotFoundError:
        hint = "write it with `vos-batch evaluate --parquet`"
        raise InvalidInput(f"{absolute_url(url)}: no such table; {hint}") from None
    store = Store(url)
    names = listing.files(store, _SUFFIX)
    if not names:
        raise InvalidInput(f"{store.url}: holds no table; write some with `vos-batch evaluate --parquet`")
    return [(store.url_of(name), store.get(name)) for name in names]


def _rows(name: str, data: bytes) -> list[dict[str, Any]]:
    try:
        table = pq.read_table(io.BytesIO(data), columns=list(_COLUMNS))
    except (pa.ArrowInvalid, pa.ArrowKeyError, KeyError, OSError) as error:
        raise InvalidInput(f"{name}: is no table of `vos-batch evaluate --parquet` ({error})") from error
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows
