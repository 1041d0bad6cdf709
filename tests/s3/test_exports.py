"""An export from S3 to S3."""

from pathlib import Path

import pytest

from jobs.exports.export import export
from jobs.exports.plan import Asked
from jobs.exports.video import Selection
from pipeline.errors import InvalidOutput
from pipeline.storage.store import Store
from tests.jobs.exports.outputs import Output, make_output
from tests.s3.servers import BUCKET, S3, use

ALL = Asked(selection=Selection())


@pytest.fixture
def output(moto_server: S3, environment: pytest.MonkeyPatch, tmp_path: Path) -> Output:
    """A local one, and the same below s3://bucket/exports/out."""
    made = make_output(tmp_path / "made")
    use(moto_server, environment)
    store = Store(f"s3://{BUCKET}/exports/out")
    for path in (tmp_path / "made/out").rglob("*"):
        if path.is_file():
            store.put_file(path.relative_to(tmp_path / "made/out").as_posix(), path)
    return made


@pytest.mark.parametrize(
    ("name", "file", "workers"),
    [("coco", "annotations/instances_default.json", 2), ("davis", "object_ids.json", 1)],
)
def test_it_is_the_same_as_a_local_one(output: Output, tmp_path: Path, name: str, file: str, workers: int) -> None:
    there = Store(f"s3://{BUCKET}/exports/{name}")
    export(f"s3://{BUCKET}/exports/out", name, there.url, ALL, workers=workers)
    export(output.url, name, str(tmp_path / "here"), ALL, workers=1)
    assert there.get(file) == (tmp_path / "here" / file).read_bytes()
    assert [entry.name for entry in there.list("_export")] == []
    with pytest.raises(InvalidOutput, match="holds a finished export"):
        export(output.url, name, there.url, ALL, workers=1)
