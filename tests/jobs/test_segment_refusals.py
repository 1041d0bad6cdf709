"""What `vos-batch segment` refuses at its edge, and that nothing it says or writes repeats a secret."""

import logging
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from jobs.segment import app
from pipeline.output import tables
from pipeline.output.schema import SCHEMAS
from tests.pipeline.corpus import CHECKPOINT, Corpus, write_rows

SECRETS = {name: f"5ec2e7-{name}" for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")}
SIGNED = "?X-Amz-Credential=5ec2e7&X-Amz-Signature=5ec2e7"
"""As at the end of a presigned URL; a file may be named so too."""


@pytest.fixture(scope="module")
def corpus(corpus: Corpus) -> Corpus:
    folder = corpus.folder
    (folder / f"garbage.mp4{SIGNED}").write_bytes(b"no video at all")
    mask = {"mask_uri": "walk-0.png", "mask_frame": 0}
    write_rows(
        folder / "signed.jsonl",
        (
            {"video_id": "good", "video_uri": "walk.mp4", **mask},
            {"video_id": "gone", "video_uri": f"gone.mp4{SIGNED}", **mask},
            {"video_id": "garbage", "video_uri": f"garbage.mp4{SIGNED}", **mask},
            {"video_id": "no mask", "video_uri": "walk.mp4", "mask_uri": f"gone.png{SIGNED}", "mask_frame": 0},
        ),
    )
    write_rows(folder / "keys.jsonl", ({"video_id": "keys", "video_uri": "s3://KEY:5ec2e7@bucket/v.mp4", **mask},))
    return corpus


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, secret in SECRETS.items():
        monkeypatch.setenv(name, secret)


def call(manifest: str, output: Path | str, checkpoint: str = CHECKPOINT) -> Result:
    arguments = [manifest, str(output), "--device", "cpu", "--min-side", "0", "--checkpoint", checkpoint]
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "300"})


class TestSecrets:
    def test_none_is_said_or_written(self, corpus: Corpus, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        output = tmp_path / "out"
        with caplog.at_level(logging.INFO):
            result = call(f"{corpus.url}/signed.jsonl", output)
        assert result.exit_code == 3
        assert "X-Amz-Signature=*** does not exist" in result.output
        said = result.output + caplog.text
        written = "".join(path.read_bytes().decode("latin-1") for path in output.rglob("*") if path.is_file())
        rows = "".join(str(tables.open(str(output), name).to_table().to_pylist()) for name in SCHEMAS)
        assert rows.count("***") >= 3
        assert "5ec2e7" not in said + written + rows

    @pytest.mark.parametrize("url", ["s3://KEY:5ec2e7@bucket/x.jsonl", "https://user:5ec2e7@127.0.0.1:9/x.jsonl"])
    def test_credentials_in_a_url_are_refused(self, corpus: Corpus, tmp_path: Path, url: str) -> None:
        output = tmp_path / "out"
        for result in (
            call(url, output),
            call(corpus.manifest, url),
            call(corpus.manifest, output, checkpoint=url),
            call(f"{corpus.url}/keys.jsonl", output),
        ):
            assert result.exit_code == 2 and not output.exists()
            assert "***@" in result.output and "holds credentials" in result.output and "environment" in result.output
            assert "5ec2e7" not in result.output


class TestOutput:
    def test_one_that_cannot_be_written(self, corpus: Corpus, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        result = call(corpus.manifest, tmp_path / "file" / "out")
        assert result.exit_code == 2
        assert f"{tmp_path}/file/out/" in result.output and "no file stands for a folder" in result.output

    def test_one_that_may_not_be_written(self, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_arguments: object, **_options: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("os.makedirs", refuse)  # a superuser may write everywhere
        result = call(corpus.manifest, tmp_path / "out")
        assert result.exit_code == 2
        assert f"{tmp_path}/out/" in result.output and "check permissions" in result.output
