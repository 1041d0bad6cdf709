"""Read an output folder: the tables of design 7 as pyarrow datasets of what is committed, at any moment."""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.dataset as ds
from fsspec.core import url_to_fs

from pipeline.commits import CommitLog, check_output
from pipeline.schema import SCHEMAS
from pipeline.storage import Store


def open(output_url: str, name: str) -> ds.Dataset:
    """Table `name` of an output: masks, frames, videos (what is committed now), failures (all attempts).

    The dataset is fixed when it is opened and has the table's schema also when it is empty. Raises KeyError
    for another name, InvalidOutput for a folder that is not ours.
    """
    schema = SCHEMAS[name]
    store = Store(output_url)
    check_output(store)
    if name == "videos":
        return ds.dataset(CommitLog(store).video_rows())
    paths = _failure_files(store) if name == "failures" else _committed_files(store, name)
    return _dataset(store, paths, schema)


def _failure_files(store: Store) -> list[str]:
    return [f"failures/{entry.name}" for entry in store.list("failures")]


def _committed_files(store: Store, name: str) -> list[str]:
    return [commit.files[name].path for commit in CommitLog(store).read_all()]


def _dataset(store: Store, paths: Iterable[str], schema: pa.Schema) -> ds.Dataset:
    # As Store connects: no listings cache, and a client of this process and these credentials.
    filesystem, root = url_to_fs(store.url, use_listings_cache=False, skip_instance_cache=True)
    sources = [f"{root}/{path}" for path in paths]
    return ds.dataset(sources, schema=schema, format="parquet", filesystem=filesystem)
