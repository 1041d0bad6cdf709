"""The commands with everything on an S3 server: manifest, videos, masks and output."""

import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from jobs import cli
from jobs.status import read_status
from pipeline.output import tables
from pipeline.output.layout import MARKER
from pipeline.storage.store import Store
from tests.pipeline.corpus import CHECKPOINT, FRAMES, Corpus, copy_corpus, digests, png, square_mask, write_corpus
from tests.pipeline.media import moving_square
from tests.s3.servers import BUCKET, S3, use
from tests.s3.throttle import Throttle, throttled

EXCLUSIVE = "--checkpoint", CHECKPOINT, "--device", "cpu", "--min-side", "0"
SETTINGS = *EXCLUSIVE, "--not-exclusive"
"""rclone ignores conditional creates."""
WAIT_S = 240.0


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, arguments, env={"COLUMNS": "300"})


def segment(corpus: Corpus, output: str, *arguments: str) -> Result:
    return call("segment", corpus.manifest, output, *SETTINGS, *arguments)


def process(corpus: Corpus, output: str, *arguments: str) -> "subprocess.Popen[str]":
    """`segment` in a process of its own; what it says comes out of one pipe."""
    command = [sys.executable, "-m", "jobs.segment", corpus.manifest, output, *SETTINGS, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder)
    return folder


@pytest.fixture(scope="module")
def expected(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[str, str], str]:
    """Digests of the masks and frames files that a run on local files writes."""
    output = str(tmp_path_factory.mktemp("local") / "out")
    result = segment(Corpus(url=f"file://{files}"), output)
    assert result.exit_code == 0, result.output
    return digests(output)


@pytest.fixture(params=["moto_server", "rclone_server"])
def server(request: pytest.FixtureRequest, environment: pytest.MonkeyPatch) -> S3:
    """Each server, and this process's environment set for it."""
    found: S3 = request.getfixturevalue(request.param)
    use(found, environment)
    return found


@pytest.fixture
def folder() -> str:
    """A URL that no other test uses."""
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"


@pytest.fixture
def corpus(server: S3, files: Path, folder: str) -> Corpus:
    return copy_corpus(files, f"{folder}/in")


@pytest.fixture
def output(folder: str) -> str:
    return f"{folder}/out"


class TestSegment:
    @pytest.mark.ray
    @pytest.mark.slow
    def test_two_actors_write_what_a_run_on_files_writes(
        self, server: S3, corpus: Corpus, output: str, expected: Mapping[tuple[str, str], str]
    ) -> None:
        with process(corpus, output, "--workers", "2") as started:
            said, _ = started.communicate(timeout=WAIT_S)
        assert started.returncode == 0, said
        assert "4 videos (29 frames) segmented" in said
        assert digests(output) == expected
        assert "nothing to do: all 4 videos are complete" in segment(corpus, output).output

    def test_only_what_changed_is_segmented_again(
        self, corpus: Corpus, output: str, expected: Mapping[tuple[str, str], str]
    ) -> None:
        assert "4 videos (29 frames) segmented" in segment(corpus, output).output
        assert digests(output) == expected
        corpus.change_mask("pictures-2.png")
        assert "1 videos (5 frames) segmented, 3 were complete before" in segment(corpus, output).output
        changed = digests(output)
        assert {file for file, _ in changed.items() - expected.items()} == {("folder", "masks"), ("folder", "frames")}
        assert "4 videos (29 frames) segmented" in segment(corpus, output, "--memory-every", "2").output
        assert "nothing to do" in segment(corpus, output, "--memory-every", "2").output

    def test_no_file_of_an_old_result_is_left(self, corpus: Corpus, output: str) -> None:
        """Without a grace time a plain glob over the tables is right when `segment` returns."""
        for every in ("1", "2"):
            assert segment(corpus, output, "--memory-every", every, "--grace", "0").exit_code == 0
        store = Store(output)
        for table in ("masks", "frames"):
            committed = {Path(path).name for path in tables.open(output, table).files}
            assert {entry.name for entry in store.list(table)} == committed

    def test_what_cannot_be_read_is_named(self, corpus: Corpus, output: str, folder: str) -> None:
        result = call("segment", f"{folder}/in/broken.jsonl", output, *SETTINGS)
        assert result.exit_code == 3
        assert (
            f"failed: missing: video 'missing' (row 1): the video {corpus.url}/gone.mp4 does not exist" in result.output
        )
        assert f"{corpus.url}/garbage.mp4 is not a video" in result.output
        assert "prompt for frame 99, but the video ends after frame 7" in result.output


class TestOtherCommands:
    def test_a_manifest_of_pairs(self, server: S3, files: Path, folder: str) -> None:
        store = Store(f"{folder}/pairs")
        store.put_file("walk.mp4", files / "walk.mp4")
        store.put_file("walk.png", files / "walk-0.png")
        manifest = f"{folder}/pairs/manifest.jsonl"
        built = call("manifest", "build", "--layout", "pairs", store.url, "--output", manifest)
        assert built.exit_code == 0, built.output
        assert "1 videos (8 frames) segmented" in call("segment", manifest, f"{folder}/out", *SETTINGS).output

    def test_masks_are_scored(self, corpus: Corpus, output: str, folder: str) -> None:
        assert segment(corpus, output, "--only", "walk").exit_code == 0
        truth = Store(f"{folder}/truth")
        for index, picture in enumerate(moving_square(8, 48, 64)):
            truth.put(f"Annotations/walk/{index:05d}.png", png(square_mask(picture)))
        scores = f"{folder}/scores.parquet"
        result = call("evaluate", output, "--truth", truth.url, "--parquet", scores)
        assert result.exit_code == 0, result.output
        assert "walk" in result.output and f"to {scores}" in result.output


class TestStatus:
    def test_it_shows_a_run_and_its_end(self, corpus: Corpus, output: str) -> None:
        assert segment(corpus, output, "--only", "walk").exit_code == 0
        status = read_status(output)
        assert status.videos == {"complete": 1} and status.frames == len(FRAMES["walk"])
        assert segment(corpus, output).exit_code == 0
        result = call("status", output)
        assert result.exit_code == 0
        assert "4 committed (4 complete)" in result.output

    def test_at_any_moment_of_a_run(self, corpus: Corpus, output: str) -> None:
        """Videos only ever become more, and every answer is of whole commits."""
        seen: list[tuple[int, int]] = []
        with process(corpus, output) as started:
            while started.poll() is None:
                if not seen and all(entry.name != MARKER for entry in Store(output).list()):
                    time.sleep(0.05)  # it still imports
                else:
                    status = read_status(output)
                    seen.append((sum(status.videos.values()), status.frames))
        assert started.returncode == 0
        assert seen and seen == sorted(seen)
        sizes = {len(frames) for frames in FRAMES.values()}
        assert all(frames == 0 or frames >= min(sizes) for _, frames in seen)
        assert read_status(output).frames == sum(map(len, FRAMES.values()))


class TestWrongCalls:
    def wrong(self, server: S3) -> S3:
        return replace(server, secret="a-secret-that-nobody-knows")

    def test_wrong_credentials(
        self, rclone_server: S3, environment: pytest.MonkeyPatch, files: Path, folder: str
    ) -> None:
        use(rclone_server, environment)
        corpus = copy_corpus(files, f"{folder}/in")
        use(self.wrong(rclone_server), environment)
        for result in (segment(corpus, f"{folder}/out"), call("status", f"{folder}/out")):
            self.says_in_one_line(result, "check permissions and credentials", folder)

    def test_credentials_that_may_not_write(
        self, rclone_server: S3, environment: pytest.MonkeyPatch, files: Path, folder: str
    ) -> None:
        use(self.wrong(rclone_server), environment)
        result = segment(Corpus(url=f"file://{files}"), f"{folder}/out")
        self.says_in_one_line(result, "check permissions and credentials", folder)

    def test_a_server_that_ignores_conditional_creates(
        self, rclone_server: S3, environment: pytest.MonkeyPatch, files: Path, folder: str
    ) -> None:
        use(rclone_server, environment)
        corpus = copy_corpus(files, f"{folder}/in")
        result = call("segment", corpus.manifest, f"{folder}/out", *EXCLUSIVE)
        assert result.exit_code == 2
        assert "ignores conditional writes" in result.output and "--not-exclusive" in result.output

    def test_no_credentials(self, rclone_server: S3, environment: pytest.MonkeyPatch, files: Path, folder: str) -> None:
        use(rclone_server, environment)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.delenv(name)
        result = segment(Corpus(url=f"file://{files}"), f"{folder}/out")
        self.says_in_one_line(result, "credentials", folder)

    @pytest.mark.parametrize("where", ["manifest", "output"])
    def test_a_missing_bucket(self, server: S3, corpus: Corpus, folder: str, where: str) -> None:
        urls = {"manifest": corpus.manifest, "output": f"{folder}/out"}
        urls[where] = urls[where].replace(f"s3://{BUCKET}/", "s3://no-such-bucket/")
        result = call("segment", urls["manifest"], urls["output"], *SETTINGS)
        self.says_in_one_line(result, "s3://no-such-bucket/", "")

    def says_in_one_line(self, result: Result, reason: str, folder: str) -> None:
        errors = [line for line in result.output.splitlines() if "error:" in line]
        assert result.exit_code == 2, result.output
        assert len(errors) == 1 and reason in errors[0] and folder in errors[0]
        for secret in ("a-secret-that-nobody-knows", "secret-of-the-tests"):
            assert secret not in result.output


class TestThrottling:
    """Of one server: it is the client that is tested."""

    def test_a_store_that_is_asked_too_much_changes_nothing(
        self,
        moto_server: S3,
        environment: pytest.MonkeyPatch,
        files: Path,
        folder: str,
        expected: Mapping[tuple[str, str], str],
    ) -> None:
        use(moto_server, environment)
        corpus, output = copy_corpus(files, f"{folder}/in"), f"{folder}/out"
        throttle = Throttle(lambda number: number % 8 == 0)
        with throttled(moto_server, throttle) as slow:
            use(slow, environment)
            result = segment(corpus, output)
        use(moto_server, environment)
        assert result.exit_code == 0, result.output
        assert throttle.refused > 5
        assert digests(output) == expected


class TestSecrets:
    def test_none_is_in_the_output(self, server: S3, corpus: Corpus, output: str) -> None:
        assert segment(corpus, output, "--only", "span").exit_code == 0
        store = Store(output)
        for name in [f"_runs/{entry.name}" for entry in store.list("_runs")] + [MARKER]:
            text = store.get(name).decode()
            for secret in (server.environment[f"AWS_{part}"] for part in ("SECRET_ACCESS_KEY", "ACCESS_KEY_ID")):
                assert secret not in text
