"""The demo: what a new user sees first."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import ray
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from jobs import demo
from jobs.cli import app
from jobs.pictures.film import Overlay
from jobs.terminal.console import stdout
from model.metrics import ObjectScore
from model.result import BankStatistics, FrameResult, ObjectStatistics
from pipeline.input.frames import Frame
from pipeline.input.manifest import read_manifest
from pipeline.input.video import open_video
from pipeline.output.commits import Commit, create_commit
from pipeline.output.marker import claim_output
from pipeline.output.writer import VideoWriter
from pipeline.run.driver import RunSummary
from pipeline.storage.store import Store


def test_the_corpus_is_three_videos_with_their_first_masks(tmp_path: Path) -> None:
    tasks = {task.video_id: task for task in read_manifest(str(demo.make_corpus(tmp_path)))}
    assert set(tasks) == {"coffee", "juggle", demo.SYNTHETIC}
    for task in tasks.values():
        with open_video(task.video_uri) as video:
            size = (video.info.width, video.info.height)
            assert (video.info.num_frames or 0) > 30
        assert _picture_size(Path(task.prompts[0].mask_uri.removeprefix("file://"))) == size


def _picture_size(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def test_a_second_demo_keeps_its_videos(tmp_path: Path) -> None:
    demo.make_corpus(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.suffix != ".jsonl"}
    demo.make_corpus(tmp_path)
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_the_generated_clip_is_scored_against_its_exact_masks(tmp_path: Path) -> None:
    """Tables that hold the truth score 1; with one object missing, that one scores 0."""
    truth = demo.synthetic_clip().labels
    assert [score.J_and_F for score in _score(tmp_path / "right", truth)] == [1.0, 1.0, 1.0]
    scores = _score(tmp_path / "lost", np.where(truth == 2, 0, truth))
    assert [score.J_and_F == 1.0 for score in scores] == [True, False, True]


def _score(folder: Path, labels: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> list[ObjectScore]:
    store = Store(str(folder))
    claim_output(store)
    with VideoWriter(store, demo.SYNTHETIC, "1") as writer:
        for index, found in enumerate(labels):
            frame = Frame(index=index, name=None, timestamp_us=index, rgb=np.zeros((1, 1, 3), np.uint8), damaged=False)
            objects = tuple(ObjectStatistics(object_id=i, score=None, uncertainty=None) for i in (1, 2, 3))
            result = FrameResult(
                labels=found.astype(np.int32), objects=objects, statistics=None, bank=BankStatistics(), prompted=False
            )
            writer.add(frame, result)
        files = writer.finish()
    create_commit(store, Commit(video_id=demo.SYNTHETIC, identity="0" * 32, files=files, video=_video_row(), driver=1))
    return demo.score_synthetic(str(folder))


def _video_row() -> dict[str, object]:
    texts = dict.fromkeys(("codec", "host", "checkpoint", "code_version", "run_id"), "x")
    numbers = dict.fromkeys(("rotation", "attempts", "frames_decoded", "bad_packets"), 1)
    seconds = {f"seconds_{stage}": 0.0 for stage in ("decode", "network", "write", "total")}
    numbers |= {"smaller_blocks": False, "height": 240, "width": 426}
    nulls = dict.fromkeys(("frames_expected", "fps", "resumed_from", "gpu", "needs_prompt_frame"))
    return {
        **texts, **numbers, **seconds, **nulls,
        "video_id": demo.SYNTHETIC,
        "identity": "0" * 32,
        "status": "complete",
        "objects": [1, 2, 3],
        "committed_at": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip


@pytest.fixture
def own_ray() -> Iterator[None]:
    yield
    ray.shutdown()


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("own_ray")
def test_the_demo_runs_and_says_where_everything_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "_MAX_SIDE", 64)  # the whole way, on small pictures
    folder = tmp_path / "[red]demo[/x] 1"
    console = stdout()
    result = demo.run_demo(folder, console, checkpoint="untrained")
    assert not result.summary.failed
    assert result.summary.complete == 3
    demo._tell(result, folder, console)
    said = capfd.readouterr().out
    assert f"to {folder}/corpus\n" in said
    assert "untrained" in said and "J&F" in said and "vos-batch status" in said
    for overlay in result.overlays.values():
        assert str(overlay.sheet) in said
        assert _picture_size(overlay.sheet)[0] > 400
        with open_video(str(overlay.video)) as video:
            assert sum(1 for _ in video) == video.info.num_frames


def test_paths_are_told_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Brackets, blanks, and more than fits into a line."""
    folder = tmp_path / "[bold]demo[/x]" / ("long " * 40).strip()
    overlay = Overlay(sheet=folder / "overlays" / "[a].png", video=folder / "overlays" / "[a].mp4")

    def made(_folder: Path, console: Console, **_options: object) -> demo.DemoResult:
        console.print(f"to {folder}")
        return demo.DemoResult(summary=RunSummary(run_id="r", complete=1), overlays={"a": overlay}, scores=[])

    monkeypatch.setattr(demo, "run_demo", made)
    result = CliRunner().invoke(app, ["demo", "--output", str(folder), "--checkpoint", "untrained"])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert f"to {folder}" in lines
    assert f"  {overlay.sheet}" in lines and f"  {overlay.video}" in lines
    assert f"  vos-batch status {shlex.quote(f'{folder}/output')}" in lines


def test_every_command_explains_itself() -> None:
    for command in (["segment"], ["manifest", "build"], ["status"], ["demo"], ["convert-checkpoint"]):
        result = CliRunner().invoke(app, [*command, "--help"])
        assert result.exit_code == 0
        assert "Usage" in result.output
