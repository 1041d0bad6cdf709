"""A report from S3 to S3: manifest, videos, output and pages."""

import urllib.request
from pathlib import Path

import fsspec
import pytest
from typer.testing import CliRunner

from jobs.report import app
from pipeline.storage.store import Store
from tests.jobs.exports.outputs import make_output
from tests.s3.servers import BUCKET, S3, use

ROOT = f"s3://{BUCKET}/reports"


def test_it_is_the_same_as_a_local_one(moto_server: S3, environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = make_output(tmp_path / "made")
    use(moto_server, environment)
    copy = Store(f"{ROOT}/made")
    for name, path in _files(tmp_path / "made").items():
        copy.put_file(name, path)
    for folder, to in ((made.url.removesuffix("/out"), str(tmp_path / "to")), (copy.url, f"{ROOT}/to")):
        asked = [f"{folder}/out", "--to", to, "--manifest", f"{folder}/manifest.jsonl", "--budget", "3"]
        result = CliRunner().invoke(app, asked)
        assert result.exit_code == 0, result.output
        assert "2 videos, 0 without a result, 10 pictures\n3 object-frames to review" in result.output
    there, here = Store(f"{ROOT}/to"), _files(tmp_path / "to")
    assert {"index.html", "review.html", "data/queue.js", "data/summary.js"} < here.keys()
    different = {name for name, path in here.items() if there.get(name) != path.read_bytes()}
    assert different <= {"data/summary.js"}  # which says when it was made


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("index.html", "text/html"),
        ("assets/base.css", "text/css"),
        ("assets/main.js", "text/javascript"),
        ("assets/icon.svg", "image/svg+xml"),
        ("frames/a/1.jpg", "image/jpeg"),
        ("1.parquet", "binary/octet-stream"),
    ],
)
def test_the_store_knows_what_browsers_need_to(
    moto_server: S3, environment: pytest.MonkeyPatch, name: str, kind: str
) -> None:
    use(moto_server, environment)
    store = Store(f"{ROOT}/kinds")
    store.put(name, b"content")
    address = fsspec.filesystem("s3").sign(f"{BUCKET}/reports/kinds/{name}")
    with urllib.request.urlopen(address) as answer:
        assert answer.headers["Content-Type"].split(";")[0] == kind
        assert answer.read() == b"content"


def _files(folder: Path) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
