"""Read an output folder: the tables of design 7 as pyarrow datasets of what is committed, at any moment.

Arrow reads files in threads of its own. Where those call back into Python the interpreter may abort at its exit,
so local files and S3 are read by Arrow itself.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from fsspec.core import url_to_fs
from pyarrow.fs import AwsStandardS3RetryStrategy, FileSystem, LocalFileSystem, S3FileSystem, resolve_s3_region

from pipeline.output.commits import CommitLog
from pipeline.output.marker import check_output
from pipeline.output.schema import SCHEMAS
from pipeline.output.videos import video_rows
from pipeline.storage.backends import s3_endpoint
from pipeline.storage.store import Store

_ATTEMPTS = 10
"""Of a read on S3: with Arrow's growing pauses as patient as other reads (`retry.Retry`)."""


def open(output_url: str, name: str) -> ds.Dataset:
    """Table `name` of an output: masks, frames, videos (what is committed now), failures (all attempts).

    The dataset is fixed when it is opened and has the table's schema also when it is empty. Raises KeyError
    for another name, InvalidOutput for a folder that is not ours.
    """
    schema = SCHEMAS[name]
    store = Store(output_url)
    check_output(store)
    if name == "videos":
        return ds.dataset(video_rows(store))
    paths = _failure_files(store) if name == "failures" else _committed_files(store, name)
    return dataset(store, paths, schema)


def _failure_files(store: Store) -> list[str]:
    return [f"failures/{entry.name}" for entry in store.list("failures")]


def _committed_files(store: Store, name: str) -> list[str]:
    return [commit.files[name].path for commit in CommitLog(store).read_all()]


def dataset(store: Store, paths: Sequence[str], schema: pa.Schema) -> ds.Dataset:
    """Some Parquet files below a folder as one dataset, with this schema also where there is none."""
    protocol, root = store.url.split("://", 1)
    if protocol == "memory":
        return ds.dataset(pa.concat_tables([schema.empty_table(), *(_read(store, path, schema) for path in paths)]))
    filesystem = _filesystem(protocol, root)
    return ds.dataset([f"{root}/{path}" for path in paths], schema=schema, format="parquet", filesystem=filesystem)


def _read(store: Store, path: str, schema: pa.Schema) -> pa.Table:
    return pq.read_table(pa.BufferReader(store.get(path)), schema=schema)


def _filesystem(protocol: str, root: str) -> FileSystem:
    if protocol == "file":
        return LocalFileSystem()
    if protocol in ("s3", "s3a"):
        return _s3(root.partition("/")[0])
    # As Store connects: no listings cache, and a client of this process and these credentials.
    return url_to_fs(f"{protocol}://{root}", use_listings_cache=False, skip_instance_cache=True)[0]


def _s3(bucket: str) -> S3FileSystem:
    """Credentials are found in each process's own environment, so none is in a dataset that is sent."""
    endpoint, region = s3_endpoint()
    return S3FileSystem(
        endpoint_override=endpoint,
        region=region if endpoint else resolve_s3_region(bucket),
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
    )
