"""One worker: what it says of a video, how it fails, and that it leaves nothing behind."""

import os
import platform
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from model import errors as model_errors
from model.bank import BankConfig
from model.checkpoint import fingerprint
from model.network import AFBURR
from model.result import FrameResult
from model.segmenter import SegmenterConfig, VideoSegmenter
from model.transfer import Upload, Uploaded
from pipeline.errors import (
    Interrupted,
    InvalidCheckpoint,
    InvalidInput,
    InvalidPrompt,
    OutOfMemory,
    PipelineError,
    Remedy,
    SegmentationFailed,
    StoreUnavailable,
    UnreadableVideo,
    WorkerUnfit,
)
from pipeline.input.box_masks import improved_by
from pipeline.input.manifest import PromptSource, VideoTask
from pipeline.input.objects import PromptObject
from pipeline.input.prompts import load_prompts
from pipeline.input.video import open_video
from pipeline.input.weights import load_network
from pipeline.output.schema import VIDEOS
from pipeline.output.writer import FrameInfo, VideoWriter
from pipeline.overlap import Behind
from pipeline.run import worker as worker_module
from pipeline.run.attempt import VideoOutcome
from pipeline.run.config import WorkerConfig
from pipeline.run.device import pick_device
from pipeline.run.ending import EndingConfig
from pipeline.run.progress import WorkerCounts
from pipeline.run.watch import Patience, Watch
from pipeline.run.worker import VideoWorker
from pipeline.storage.store import Store
from tests.pipeline.attempts import attempt_at
from tests.pipeline.corpus import HEIGHT, WIDTH, config_for, png, square_mask
from tests.pipeline.media import moving_square, write_frames, write_video

SQUARES = moving_square(12, HEIGHT, WIDTH)
LONG = moving_square(40, HEIGHT, WIDTH)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(autouse=True)
def nothing_is_left(scratch: Path) -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before
    assert list(scratch.iterdir()) == []


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 frames."""
    return write_video(tmp_path_factory.mktemp("video") / "v.mp4", SQUARES)


@pytest.fixture
def output(tmp_path: Path) -> str:
    return str(tmp_path / "out")


@pytest.fixture
def worker(output: str) -> VideoWorker:
    return ready(config_for(output))


def ready(config: WorkerConfig) -> VideoWorker:
    worker = VideoWorker(config)
    worker.setup()
    return worker


def make_task(video: Path, folder: Path, *, prompts: tuple[int, ...] = (0,), **columns: Any) -> VideoTask:
    """Prompted in these frames with the square of that frame."""
    sources = []
    for index in prompts:
        mask = folder / f"mask-{index}.png"
        mask.write_bytes(png(square_mask(SQUARES[min(index, 11)])))
        sources.append(PromptSource(frame_index=index, mask_uri=f"file://{mask}"))
    return VideoTask(video_id="my video", video_uri=f"file://{video}", prompts=tuple(sources), row=7, **columns)


def write_cut_video(path: Path) -> Path:
    """Six tenths of a file of 40 frames, with its whole index in front."""
    write_video(path, LONG, options={"g": "1"}, container_options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    return path


def rows(output: str, outcome: VideoOutcome, table: str) -> list[dict[str, Any]]:
    with Store(output).open(outcome.files[table].path) as file:
        return list(pq.read_table(file).to_pylist())


def frames_of(output: str, outcome: VideoOutcome) -> list[int]:
    return [row["frame_index"] for row in rows(output, outcome, "frames")]


class TestStatus:
    def test_a_whole_video_is_complete(self, worker: VideoWorker, video: Path, tmp_path: Path, output: str) -> None:
        outcome = worker.process(attempt_at(make_task(video, tmp_path), "a"))
        assert outcome.video["status"] == "complete"
        assert (outcome.video["frames_expected"], outcome.video["frames_decoded"]) == (12, 12)
        assert (outcome.video["width"], outcome.video["height"], outcome.video["fps"]) == (WIDTH, HEIGHT, 25)
        assert (outcome.video["codec"], outcome.video["rotation"], outcome.video["bad_packets"]) == ("h264", 0, 0)
        assert outcome.video["objects"] == [1]
        assert frames_of(output, outcome) == list(range(12))

    def test_a_cut_file_is_truncated_and_what_decoded_is_kept(
        self, worker: VideoWorker, tmp_path: Path, output: str
    ) -> None:
        path = write_cut_video(tmp_path / "cut.mp4")
        outcome = worker.process(attempt_at(make_task(path, tmp_path), "a"))
        decoded = outcome.video["frames_decoded"]
        assert outcome.video["status"] == "truncated" and outcome.video["frames_expected"] == 40
        assert isinstance(decoded, int) and 1 < decoded < 38
        assert frames_of(output, outcome) == list(range(decoded))

    def test_a_bad_packet_inside_makes_it_damaged(self, worker: VideoWorker, tmp_path: Path, output: str) -> None:
        path = write_video(tmp_path / "v.avi", SQUARES, codec="mjpeg", pix_fmt="yuvj420p")
        zero_packet(path, 5)
        outcome = worker.process(attempt_at(make_task(path, tmp_path), "a"))
        assert (outcome.video["status"], outcome.video["bad_packets"]) == ("damaged", 1)
        assert [row["damaged"] for row in rows(output, outcome, "frames")] == [n == 5 for n in range(11)]

    def test_a_folder_is_complete(self, worker: VideoWorker, tmp_path: Path, output: str) -> None:
        folder = write_frames(tmp_path / "frames", SQUARES[:4], ".png")
        outcome = worker.process(attempt_at(make_task(folder, tmp_path), "a"))
        assert (outcome.video["status"], outcome.video["codec"], outcome.video["fps"]) == ("complete", "png", None)
        names = [row["frame_name"] for row in rows(output, outcome, "frames")]
        assert names == [f"{n:05d}.png" for n in range(4)]

    def test_it_fills_its_columns_of_the_videos_table(self, worker: VideoWorker, video: Path, tmp_path: Path) -> None:
        outcome = worker.process(attempt_at(make_task(video, tmp_path), "a"))
        drivers = {"attempts", "identity", "code_version", "committed_at", "run_id", "driver"}
        drivers |= {f"{table}_{what}" for table in ("masks", "frames") for what in ("file", "bytes", "sha256")}
        assert outcome.video.keys() == set(VIDEOS.names) - drivers
        assert outcome.video["checkpoint"] == worker.config.checkpoint_fingerprint
        stages = [outcome.video[f"seconds_{stage}"] for stage in ("decode", "network", "write")]
        total = outcome.video["seconds_total"]
        assert isinstance(total, float) and 0 < sum(map(float, stages)) <= total  # type: ignore[arg-type]

    def test_every_row_is_waited_for_when_the_writer_is_slow(
        self, worker: VideoWorker, video: Path, tmp_path: Path, output: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add = VideoWriter.add

        def slowly(self: VideoWriter, frame: FrameInfo, result: FrameResult, **options: Any) -> None:
            time.sleep(0.1)
            add(self, frame, result, **options)

        monkeypatch.setattr(VideoWriter, "add", slowly)
        outcome = worker.process(attempt_at(make_task(video, tmp_path), "a"))
        assert frames_of(output, outcome) == list(range(12))


class TestBothWays:
    def segment(self, output: str, task: VideoTask, name: str, **settings: Any) -> tuple[VideoWorker, VideoOutcome]:
        worker = ready(config_for(output, **settings))
        return worker, worker.process(attempt_at(task, name))

    @pytest.mark.parametrize("folder", [False, True])
    def test_frames_before_the_first_prompt_are_filled(
        self, video: Path, tmp_path: Path, output: str, folder: bool
    ) -> None:
        source = write_frames(tmp_path / "frames", SQUARES, ".png") if folder else video
        task = make_task(source, tmp_path, prompts=(7,))
        worker, found = self.segment(output, task, "a", both_ways=True)
        masks = rows(output, found, "masks")
        assert [row["frame_index"] for row in masks] == list(range(12))
        assert all(0 < row["score"] <= 1 and 0 <= row["uncertainty"] <= 1 for row in masks if row["frame_index"] != 7)
        assert [row["backward"] for row in masks] == [True] * 7 + [False] * 5
        frames = rows(output, found, "frames")
        assert [row["num_objects"] for row in frames] == [1] * 12
        assert all(row["bank_size"] > 0 and row["prompted"] == (row["frame_index"] == 7) for row in frames)
        assert all((row["uncertainty_mean"] is None) == row["prompted"] for row in frames)
        assert worker.counts == WorkerCounts(frames_begun=20, frames_done=20, videos_begun=1)
        assert found.video["frames_decoded"] == 12

    def test_from_the_prompt_on_it_is_as_without(self, video: Path, tmp_path: Path, output: str) -> None:
        task = make_task(video, tmp_path, prompts=(4,))
        _, both = self.segment(output, task, "a", both_ways=True)
        _, one = self.segment(output, task, "b")
        masks, alone = rows(output, both, "masks")[4:], rows(output, one, "masks")
        assert masks[1:] == alone[1:] and masks[0] == alone[0] | {"event": "jump"}
        assert rows(output, both, "frames")[4:] == rows(output, one, "frames")[4:]

    def test_before_it_is_what_a_reversed_video_has(self, tmp_path: Path, output: str) -> None:
        """The way back is the way forwards through the frames in the other order."""
        back = write_frames(tmp_path / "back", SQUARES, ".png")
        forth = write_frames(tmp_path / "forth", SQUARES[:9][::-1], ".png")
        _, both = self.segment(output, make_task(back, tmp_path, prompts=(8,)), "a", both_ways=True)
        mask = PromptSource(frame_index=0, mask_uri=f"file://{tmp_path}/mask-8.png")
        _, one = self.segment(output, replace(make_task(forth, tmp_path), prompts=(mask,)), "b")
        columns = ("rle", "score", "uncertainty")
        found, wanted = (
            [[row[name] for name in columns] for row in rows(output, outcome, "masks")] for outcome in (both, one)
        )
        assert found[:8] == wanted[:0:-1]

    def test_between_prompts_the_nearest_counts(self, tmp_path: Path, output: str) -> None:
        source = write_frames(tmp_path / "frames", SQUARES, ".png")
        task = make_task(source, tmp_path, prompts=(0, 9))
        worker, both = self.segment(output, task, "a", both_ways=True)
        _, front = self.segment(output, task, "b")
        _, behind = self.segment(output, make_task(source, tmp_path, prompts=(9,)), "c", both_ways=True)
        masks, from_front, from_behind = (
            {row["frame_index"]: row["score"] for row in rows(output, outcome, "masks")}
            for outcome in (both, front, behind)
        )
        assert {n: masks[n] for n in range(5)} == {n: from_front[n] for n in range(5)}
        assert {n: masks[n] for n in range(5, 9)} == {n: from_behind[n] for n in range(5, 9)}
        assert from_front[8] != from_behind[8]
        assert worker.counts.frames_done == 12 + 5

    def test_the_same_bytes_again(self, video: Path, tmp_path: Path, output: str) -> None:
        task = make_task(video, tmp_path, prompts=(3, 10))
        _, one = self.segment(output, task, "a", both_ways=True)
        _, other = self.segment(output, task, "b", both_ways=True, queue_frames=1)
        assert [f.sha256 for f in one.files.values()] == [f.sha256 for f in other.files.values()]

    def test_a_prompt_on_the_first_frame_costs_nothing_more(
        self, video: Path, tmp_path: Path, output: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(worker_module, "open_video", None)
        worker, both = self.segment(output, make_task(video, tmp_path), "a", both_ways=True)
        _, one = self.segment(output, make_task(video, tmp_path), "b")
        assert worker.counts.frames_done == 12
        assert [f.sha256 for f in both.files.values()] == [f.sha256 for f in one.files.values()]

    def test_prompts_that_a_truncated_video_lacks(self, tmp_path: Path, output: str) -> None:
        path = write_cut_video(tmp_path / "cut.mp4")
        _, both = self.segment(output, make_task(path, tmp_path, prompts=(4, 39)), "a", both_ways=True)
        decoded = both.video["frames_decoded"]
        assert both.video["status"] == "truncated" and isinstance(decoded, int)
        assert [row["frame_index"] for row in rows(output, both, "masks")] == list(range(decoded))

    def test_in_smaller_blocks(self, video: Path, tmp_path: Path, output: str) -> None:
        seen: list[int | None] = []

        class Watched(VideoSegmenter):
            def __init__(self, network: AFBURR, config: SegmenterConfig, **options: Any) -> None:
                super().__init__(network, config, **options)
                seen.append(config.object_chunk)

        worker = VideoWorker(config_for(output, both_ways=True), make_segmenter=Watched)
        worker.setup()
        worker.process(replace(attempt_at(make_task(video, tmp_path, prompts=(5,)), "a"), smaller_blocks=True))
        assert seen == [1, 1]

    def test_an_early_end_is_that_of_the_way_forwards(self, video: Path, tmp_path: Path, output: str) -> None:
        (tmp_path / "none.png").write_bytes(png(np.zeros((HEIGHT, WIDTH), np.uint8)))
        gone = PromptSource(frame_index=4, mask_uri=f"file://{tmp_path}/none.png", object_ids=(1,))
        task = replace(make_task(video, tmp_path), prompts=(gone,))
        ending = EndingConfig(stop_when_lost=2)
        _, both = self.segment(output, task, "a", both_ways=True, ending=ending)
        _, one = self.segment(output, task, "b", ending=ending)
        for column in ("status", "needs_prompt_frame", "frames_decoded"):
            assert both.video[column] == one.video[column]
        assert (both.video["status"], both.video["needs_prompt_frame"]) == ("needs_prompt", 5)
        assert [row["frame_index"] for row in rows(output, both, "masks")] == list(range(7))

    def test_it_stops_on_the_way_back(self, video: Path, tmp_path: Path, output: str) -> None:
        worker = ready(config_for(output, both_ways=True))
        worker.stop()
        with pytest.raises(Interrupted, match="before frame 9"):
            worker.process(attempt_at(make_task(video, tmp_path, prompts=(9,)), "a"))


class TestBoxes:
    @pytest.mark.parametrize("both_ways", [False, True])
    def test_the_network_s_memory_of_the_guess_is_what_a_box_becomes(
        self, video: Path, output: str, both_ways: bool
    ) -> None:
        """On a later frame, and so from behind, too."""
        network = load_network("lite0-open")
        given = PromptObject.of_box(3, (8.0, 6.0, 24.0, 20.0))
        task = VideoTask(
            video_id="my video",
            video_uri=f"file://{video}",
            prompts=(PromptSource(frame_index=2, object_ids=(3,), objects=(given,)),),
            row=1,
        )
        found = {}
        for way in ("network", "grabcut"):
            config = config_for(
                output,
                checkpoint="lite0-open",
                checkpoint_fingerprint=fingerprint(network),
                box_masks=way,
                both_ways=both_ways,
            )
            outcome = ready(config).process(attempt_at(task, way))
            found[way] = {row["frame_index"]: row for row in rows(output, outcome, "masks")}
        assert found["network"].keys() == set(range(0 if both_ways else 2, 12))
        with open_video(task.video_uri, start_frame=2, end_frame=3) as reader:
            picture = next(iter(reader)).rgb
        prompts = load_prompts(task, HEIGHT, WIDTH, box_masks="network")
        better, plain = prompts.on(2, picture, improved_by(network)), prompts.on(2, picture)
        assert better is not None and plain is not None
        areas = {way: by_frame[2]["area"] for way, by_frame in found.items()}
        assert areas == {"network": (better.labels == 3).sum(), "grabcut": (plain.labels == 3).sum()}
        assert found["network"][2]["rle"] != found["grabcut"][2]["rle"]
        assert found["network"][2]["approximate"] == found["grabcut"][2]["approximate"]


class TestEarlyEnds:
    """For want of a prompt; `tests/pipeline/run/test_ending.py` says when."""

    def absent(self, video: Path, tmp_path: Path, *more: PromptSource) -> VideoTask:
        """Its first prompt says that the object is not there, so nothing is found."""
        (tmp_path / "none.png").write_bytes(png(np.zeros((HEIGHT, WIDTH), np.uint8)))
        none = PromptSource(frame_index=0, mask_uri=f"file://{tmp_path}/none.png", object_ids=(1,))
        return VideoTask(video_id="my video", video_uri=f"file://{video}", prompts=(none, *more), row=7)

    def test_objects_that_stay_away_end_it(self, video: Path, tmp_path: Path, output: str) -> None:
        worker = ready(config_for(output, ending=EndingConfig(stop_when_lost=3)))
        outcome = worker.process(attempt_at(self.absent(video, tmp_path), "a"))
        assert (outcome.video["status"], outcome.video["needs_prompt_frame"]) == ("needs_prompt", 1)
        assert frames_of(output, outcome) == [0, 1, 2, 3]
        assert (outcome.video["frames_decoded"], outcome.video["frames_expected"]) == (4, 12)
        assert worker.counts == WorkerCounts(frames_begun=4, frames_done=4, videos_begun=1)

    def test_a_prompt_to_come_is_waited_for(self, video: Path, tmp_path: Path, output: str) -> None:
        worker = ready(config_for(output, ending=EndingConfig(stop_when_lost=3)))
        later = make_task(video, tmp_path, prompts=(9,)).prompts
        outcome = worker.process(attempt_at(self.absent(video, tmp_path, *later), "a"))
        assert (outcome.video["status"], outcome.video["needs_prompt_frame"]) == ("complete", None)
        events = [row["event"] for row in rows(output, outcome, "masks")]
        assert events[:10] == [None] * 9 + ["found"]

    @pytest.mark.parametrize(("at_cuts", "status", "frames"), [("stop", "needs_prompt", 6), ("go-on", "complete", 12)])
    def test_a_cut_ends_it_or_not(
        self, video: Path, tmp_path: Path, output: str, monkeypatch: pytest.MonkeyPatch, at_cuts: Any, status: str,
        frames: int,
    ) -> None:  # fmt: skip
        cut_at(monkeypatch, 5)
        worker = ready(config_for(output, ending=EndingConfig(at_cuts=at_cuts)))
        outcome = worker.process(attempt_at(make_task(video, tmp_path), "a"))
        assert (outcome.video["status"], outcome.video["needs_prompt_frame"]) == (status, 5 if frames == 6 else None)
        cuts = [row["shot_cut"] for row in rows(output, outcome, "frames")]
        assert cuts == [n == 5 for n in range(frames)]

    @pytest.mark.parametrize("queue_frames", [1, 8])
    def test_what_was_decoded_behind_its_end_does_not_count(
        self, tmp_path: Path, output: str, monkeypatch: pytest.MonkeyPatch, queue_frames: int
    ) -> None:
        path = write_video(tmp_path / "v.avi", SQUARES, codec="mjpeg", pix_fmt="yuvj420p")
        for number in (3, 9):
            zero_packet(path, number)
        cut_at(monkeypatch, 7)
        worker = ready(config_for(output, ending=EndingConfig(at_cuts="stop"), queue_frames=queue_frames))
        outcome = worker.process(attempt_at(make_task(path, tmp_path), "a"))
        assert (outcome.video["status"], outcome.video["bad_packets"]) == ("needs_prompt", 1)
        assert (outcome.video["frames_decoded"], outcome.video["needs_prompt_frame"]) == (8, 7)


class TestSpans:
    def test_frame_numbers_are_the_sources(self, worker: VideoWorker, video: Path, tmp_path: Path, output: str) -> None:
        task = make_task(video, tmp_path, prompts=(6,), start_frame=4, end_frame=9)
        outcome = worker.process(attempt_at(task, "a"))
        assert (outcome.video["status"], outcome.video["frames_expected"]) == ("complete", 5)
        assert frames_of(output, outcome) == [4, 5, 6, 7, 8]
        masks = rows(output, outcome, "masks")
        assert [row["frame_index"] for row in masks] == [6, 7, 8]
        assert masks[0]["area"] == square_mask(SQUARES[6]).sum()

    def test_the_prompted_mask_is_stored_as_given(
        self, worker: VideoWorker, video: Path, tmp_path: Path, output: str
    ) -> None:
        outcome = worker.process(attempt_at(make_task(video, tmp_path, prompts=(0, 8)), "a"))
        masks = rows(output, outcome, "masks")
        assert [masks[n]["area"] for n in (0, 8)] == [square_mask(SQUARES[n]).sum() for n in (0, 8)]
        prompted = [row["frame_index"] for row in rows(output, outcome, "frames") if row["prompted"]]
        assert prompted == [0, 8]


class TestPromptsBeyondTheEnd:
    def test_it_is_refused_with_row_frame_and_end(self, worker: VideoWorker, video: Path, tmp_path: Path) -> None:
        with pytest.raises(InvalidPrompt, match=r"'my video' \(row 7\): prompt for frame 12.* after frame 11"):
            worker.process(attempt_at(make_task(video, tmp_path, prompts=(0, 12)), "a"))

    def test_what_a_truncated_video_shows_is_kept(self, worker: VideoWorker, tmp_path: Path, output: str) -> None:
        path = write_cut_video(tmp_path / "cut.mp4")
        outcome = worker.process(attempt_at(make_task(path, tmp_path, prompts=(0, 39)), "a"))
        assert outcome.video["status"] == "truncated"
        assert len(rows(output, outcome, "masks")) == outcome.video["frames_decoded"]
        with pytest.raises(InvalidPrompt, match="frame 39"):
            worker.process(attempt_at(make_task(path, tmp_path, prompts=(39,)), "b"))


class TestFailures:
    """`nothing_is_left` holds for each: no thread, no temporary folder."""

    @pytest.mark.parametrize("told", ["submit", "collect"])
    @pytest.mark.parametrize(
        ("raised", "expected", "remedy"),
        [
            (model_errors.NonFinite("NaN in features"), SegmentationFailed, Remedy.NONE),
            (model_errors.OutOfMemory("9 GiB"), OutOfMemory, Remedy.SMALLER),
            (model_errors.BudgetTooSmall("100 rows"), SegmentationFailed, Remedy.NONE),
        ],
    )
    def test_the_network_names_video_and_frame(
        self,
        worker: VideoWorker,
        video: Path,
        tmp_path: Path,
        output: str,
        monkeypatch: pytest.MonkeyPatch,
        raised: Exception,
        expected: type[PipelineError],
        remedy: Remedy,
        told: str,
    ) -> None:
        fail_at(monkeypatch, 4, raised, told=told)
        with pytest.raises(expected, match=rf"'my video' \(row 7\): frame 6: .*{raised}") as error:
            worker.process(attempt_at(make_task(video, tmp_path, prompts=(2,), start_frame=2), "a"))
        assert type(error.value) is expected and error.value.remedy is remedy
        assert getattr(error.value, "frame_index", None) == 6
        assert Store(output).list("masks") == Store(output).list("frames") == []

    def test_a_worker_goes_on_after_an_error(
        self, worker: VideoWorker, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patched, pytest.raises(SegmentationFailed):
            fail_at(patched, 0, model_errors.NonFinite("NaN"))
            worker.process(attempt_at(make_task(video, tmp_path), "a"))
        after = worker.process(attempt_at(make_task(video, tmp_path), "b"))
        alone = ready(worker.config).process(attempt_at(make_task(video, tmp_path), "c"))
        for table in ("masks", "frames"):
            assert after.files[table].sha256 == alone.files[table].sha256

    def test_a_budget_that_is_too_small_is_refused_before_the_first_frame(
        self, video: Path, tmp_path: Path, output: str
    ) -> None:
        worker = ready(config_for(output, segmenter=SegmenterConfig(bank=BankConfig(budget=47))))
        # 3 x 4 positions, two channels, two frames.
        with pytest.raises(InvalidInput, match=r"video 'my video' \(row 7\): .*47 .*48"):
            worker.process(attempt_at(make_task(video, tmp_path), "a"))
        assert worker.counts.frames_done == 0

    def test_an_unreadable_video_is_named(self, worker: VideoWorker, tmp_path: Path) -> None:
        with pytest.raises(UnreadableVideo, match=r"^video 'my video' \(row 7\): .*gone\.mp4 does not exist"):
            worker.process(attempt_at(make_task(tmp_path / "gone.mp4", tmp_path), "a"))

    def test_garbage_is_named(self, worker: VideoWorker, tmp_path: Path) -> None:
        (tmp_path / "v.mp4").write_bytes(b"no video at all " * 100)
        with pytest.raises(UnreadableVideo, match=r"^video 'my video' \(row 7\): .*v\.mp4 is not a video"):
            worker.process(attempt_at(make_task(tmp_path / "v.mp4", tmp_path), "a"))

    def test_a_video_is_named_once(self, worker: VideoWorker, video: Path, tmp_path: Path) -> None:
        with pytest.raises(InvalidPrompt) as error:
            worker.process(attempt_at(make_task(video, tmp_path, prompts=(0, 12)), "a"))
        assert str(error.value).count("'my video'") == str(error.value).count("row 7") == 1

    def test_a_start_beyond_the_end_is_named(self, worker: VideoWorker, video: Path, tmp_path: Path) -> None:
        task = make_task(video, tmp_path, prompts=(20,), start_frame=15)
        with pytest.raises(InvalidInput, match=r"'my video' \(row 7\): it has no frame 15 .*correct start_frame"):
            worker.process(attempt_at(task, "a"))

    def test_a_start_beyond_the_end_of_a_folder_is_named(self, worker: VideoWorker, tmp_path: Path) -> None:
        folder = write_frames(tmp_path / "frames", SQUARES[:4], ".png")
        task = make_task(folder, tmp_path, prompts=(4,), start_frame=4, end_frame=9)
        with pytest.raises(InvalidInput, match=r"'my video' \(row 7\): it has no frame 4 "):
            worker.process(attempt_at(task, "a"))

    @pytest.mark.parametrize("at", [0, 3])
    def test_a_worker_that_is_told_to_stop_ends_at_its_next_frame(
        self, worker: VideoWorker, video: Path, tmp_path: Path, output: str, monkeypatch: pytest.MonkeyPatch, at: int
    ) -> None:
        submit, calls = VideoSegmenter.submit, iter(range(1, 10**6))

        def stopping(self: VideoSegmenter, *arguments: Any) -> None:
            if next(calls) == at:
                worker.stop()
            submit(self, *arguments)

        monkeypatch.setattr(VideoSegmenter, "submit", stopping)
        if not at:
            worker.stop()
        with pytest.raises(Interrupted, match=rf"'my video' \(row 7\): stopped before frame {at}$") as error:
            worker.process(attempt_at(make_task(video, tmp_path), "a"))
        assert error.value.remedy is Remedy.LATER
        assert worker.counts.frames_done == at
        assert Store(output).list("masks") == Store(output).list("frames") == []
        with pytest.raises(Interrupted):  # for good
            worker.process(attempt_at(make_task(video, tmp_path), "b"))

    def test_a_picture_that_breaks_off_the_decoding_is_named(self, worker: VideoWorker, tmp_path: Path) -> None:
        folder = write_frames(tmp_path / "frames", SQUARES, ".png")
        (folder / "00009.png").write_bytes(b"garbage")
        with pytest.raises(UnreadableVideo, match=r"00009\.png"):
            worker.process(attempt_at(make_task(folder, tmp_path), "a"))

    def test_a_mask_of_another_size_is_named(self, worker: VideoWorker, video: Path, tmp_path: Path) -> None:
        task = make_task(video, tmp_path)
        (tmp_path / "mask-0.png").write_bytes(png(np.ones((HEIGHT, WIDTH - 2), np.uint8)))
        with pytest.raises(InvalidPrompt, match=r"'my video' \(row 7\): mask .*mask-0\.png: is 62 x 48"):
            worker.process(attempt_at(task, "a"))

    def test_a_store_that_fails_can_be_tried_again(
        self, worker: VideoWorker, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(self: Store, name: str, local_path: object) -> None:
            raise StoreUnavailable("no answer")

        monkeypatch.setattr(Store, "put_file", fail)
        with pytest.raises(StoreUnavailable) as error:
            worker.process(attempt_at(make_task(video, tmp_path), "a"))
        assert error.value.remedy is Remedy.LATER

    def test_a_full_disk_is_the_machine_s(
        self, worker: VideoWorker, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_arguments: object, **_options: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("pipeline.run.worker.VideoWriter.add", fail)
        said = rf"'my video' \(row 7\): {platform.node()}: .*No space left.*: make room in "
        with pytest.raises(WorkerUnfit, match=said) as error:
            worker.process(attempt_at(make_task(video, tmp_path), "a"))
        assert error.value.remedy is Remedy.ELSEWHERE

    def test_so_is_a_gpu_that_fails(
        self, worker: VideoWorker, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fail_at(monkeypatch, 2, torch.AcceleratorError("CUDA error: an illegal memory access was encountered"))
        with pytest.raises(WorkerUnfit, match=rf"the GPU of {platform.node()} failed: .*illegal memory access"):
            worker.process(attempt_at(make_task(video, tmp_path), "a"))

    def test_an_error_of_the_writer_comes_out(
        self, worker: VideoWorker, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_arguments: object, **_options: object) -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr("pipeline.run.worker.VideoWriter.add", fail)
        with pytest.raises(OSError, match="Input/output error"):
            worker.process(attempt_at(make_task(video, tmp_path), "a"))

    def test_what_the_attempt_in_hand_waits_for_is_told_while_it_waits(
        self, worker: VideoWorker, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        submit, said = VideoSegmenter.submit, list[str | None]()

        def looking(self: VideoSegmenter, *arguments: Any) -> None:
            while len(said) < 2 and not (overdue := worker.overdue()):
                time.sleep(0.01)
            said.append(overdue if len(said) < 2 else None)
            submit(self, *arguments)

        monkeypatch.setattr(VideoSegmenter, "submit", looking)
        worker._watch = Watch(Patience(least_s=0.2, opening_s=0.3))
        worker.process(attempt_at(make_task(video, tmp_path), "a"))
        assert said[:2] == ["not one frame in 0 s", "no new frame in 0 s"]
        time.sleep(0.4)
        assert worker.overdue() is None


class TestOneFrameUnderWay:
    """While a device works on a frame, the one before is handed to the writer."""

    def test_the_tables_are_those_of_steps(self, video: Path, tmp_path: Path, output: str) -> None:
        """Every byte; with prompts on the first frame, inside and on the last one."""
        worker, task = ready(config_for(output)), make_task(video, tmp_path, prompts=(2, 7, 11))
        found = worker.process(attempt_at(task, "a"))
        network, config = load_network(worker.config.checkpoint), worker.config.segmenter
        with open_video(task.video_uri) as reader, VideoWriter(Store(output), task.video_id, "b") as writer:
            prompts = load_prompts(task, HEIGHT, WIDTH)
            segmenter = VideoSegmenter(network, config, object_ids=prompts.object_ids)
            for frame in reader:
                prompt = prompts.on(frame.index, frame.rgb)
                result = segmenter.step(torch.from_numpy(frame.rgb).permute(2, 0, 1), prompt)
                writer.add(frame, result, approximate=prompt.approximations() if prompt else {})
            files = writer.finish()
        assert {table: file.sha256 for table, file in found.files.items()} == {
            table: file.sha256 for table, file in files.items()
        }

    def test_a_row_is_handed_over_while_the_next_frame_is_under_way(
        self, worker: VideoWorker, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        done = list[str]()

        def noting(kind: type, name: str) -> None:
            method = getattr(kind, name)

            def noted(self: object, *arguments: Any) -> Any:
                done.append(name)
                return method(self, *arguments)

            monkeypatch.setattr(kind, name, noted)

        for kind, name in ((VideoSegmenter, "submit"), (VideoSegmenter, "collect"), (Behind, "add")):
            noting(kind, name)
        worker.process(attempt_at(make_task(video, tmp_path, end_frame=3), "a"))
        assert done == ["submit", "collect", *["submit", "add", "collect"] * 2, "add"]

    def test_a_video_that_ends_early_begins_no_frame_behind_its_end(
        self, video: Path, tmp_path: Path, output: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cut_at(monkeypatch, 5)
        fail_at(monkeypatch, 6, model_errors.NonFinite("of a frame behind the end"))
        worker = ready(config_for(output, ending=EndingConfig(at_cuts="stop")))
        outcome = worker.process(attempt_at(make_task(video, tmp_path), "a"))
        assert frames_of(output, outcome) == [0, 1, 2, 3, 4, 5]


class TestFramesBroughtAhead:
    """As to a GPU, for which `brought_ahead` stands: a thread of its own brings them."""

    @pytest.fixture
    def brought_ahead(self, worker: VideoWorker) -> None:
        worker._brought = partial(worker._brought, ahead=True)  # type: ignore[method-assign]

    @pytest.mark.usefixtures("brought_ahead")
    def test_tables_are_the_same(self, worker: VideoWorker, video: Path, tmp_path: Path) -> None:
        task = make_task(video, tmp_path, prompts=(2, 7))
        found, plain = worker.process(attempt_at(task, "a")), ready(worker.config).process(attempt_at(task, "b"))
        assert [file.sha256 for file in found.files.values()] == [file.sha256 for file in plain.files.values()]

    @pytest.mark.usefixtures("brought_ahead")
    def test_a_device_without_room_for_a_frame_names_it(
        self, worker: VideoWorker, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        upload, calls = Upload.__call__, iter(range(10**6))

        def failing(self: Upload, frame: torch.Tensor) -> Uploaded:
            if next(calls) == 4:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return upload(self, frame)

        monkeypatch.setattr(Upload, "__call__", failing)
        with pytest.raises(OutOfMemory, match="frame 4: out of memory") as error:
            worker.process(attempt_at(make_task(video, tmp_path), "a"))
        assert error.value.frame_index == 4 and worker.counts.frames_done == 4

    @pytest.mark.usefixtures("brought_ahead")
    def test_a_video_that_ends_early_leaves_no_thread(
        self, video: Path, tmp_path: Path, worker: VideoWorker, output: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cut_at(monkeypatch, 5)
        worker.config = replace(worker.config, ending=EndingConfig(at_cuts="stop"))
        outcome = worker.process(attempt_at(make_task(video, tmp_path), "a"))
        assert frames_of(output, outcome) == [0, 1, 2, 3, 4, 5]


class TestAttempts:
    def test_two_attempts_write_the_same_under_other_names(
        self, worker: VideoWorker, video: Path, tmp_path: Path
    ) -> None:
        one, other = (worker.process(attempt_at(make_task(video, tmp_path), attempt)) for attempt in "ab")
        for table in ("masks", "frames"):
            assert one.files[table].sha256 == other.files[table].sha256
            assert one.files[table].path != other.files[table].path

    def test_frames_are_counted_over_videos(self, worker: VideoWorker, video: Path, tmp_path: Path) -> None:
        for attempt in "ab":
            worker.process(attempt_at(make_task(video, tmp_path, prompts=(0,), end_frame=5), attempt))
        assert worker.counts == WorkerCounts(frames_done=10, frames_begun=10, videos_begun=2)


class TestPreparing:
    def test_it_changes_nothing_in_what_is_written(self, worker: VideoWorker, video: Path, tmp_path: Path) -> None:
        task = make_task(video, tmp_path)
        one = worker.process(attempt_at(task, "a"))
        worker.prepare(task)
        other = worker.process(attempt_at(task, "b"))
        assert [file.sha256 for file in one.files.values()] == [file.sha256 for file in other.files.values()]
        worker.close()

    def test_an_error_is_that_of_its_own_video(self, worker: VideoWorker, video: Path, tmp_path: Path) -> None:
        gone = make_task(tmp_path / "gone.mp4", tmp_path)
        worker.prepare(gone)
        worker.process(attempt_at(make_task(video, tmp_path), "a"))
        with pytest.raises(PipelineError, match=r"gone\.mp4 does not exist"):
            worker.process(attempt_at(gone, "a"))
        worker.close()

    def test_what_nobody_asked_for_is_closed_with_the_worker(
        self, worker: VideoWorker, video: Path, tmp_path: Path
    ) -> None:
        worker.prepare(make_task(video, tmp_path))
        worker.close()  # the fixture looks for threads


class TestSetup:
    def test_it_sets_the_torch_threads(self, output: str) -> None:
        before = torch.get_num_threads()
        try:
            ready(config_for(output, torch_threads=2))
            assert torch.get_num_threads() == 2
        finally:
            torch.set_num_threads(before)

    def test_other_weights_than_planned_are_refused(self, output: str) -> None:
        with pytest.raises(InvalidCheckpoint, match=r"untrained has the fingerprint \w{16} here and 0{16} "):
            ready(config_for(output, checkpoint_fingerprint="0" * 16))

    def test_work_before_it_is_a_mistake_of_the_caller(self, output: str, video: Path, tmp_path: Path) -> None:
        with pytest.raises(RuntimeError, match="setup"):
            VideoWorker(config_for(output)).process(attempt_at(make_task(video, tmp_path), "a"))

    def test_a_closed_worker_has_let_go_of_the_network(self, worker: VideoWorker, video: Path, tmp_path: Path) -> None:
        worker.close()
        with pytest.raises(RuntimeError, match="setup"):
            worker.process(attempt_at(make_task(video, tmp_path), "a"))


class TestDevice:
    @pytest.fixture(autouse=True)
    def no_cuda(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    @pytest.mark.parametrize(("device", "reserved"), [("cpu", 0.0), ("cpu", 1.0), ("auto", 0.0)])
    def test_the_cpu_where_nothing_else_was_promised(self, output: str, device: str, reserved: float) -> None:
        assert pick_device(device, reserved_gpus=reserved).type == "cpu"

    @pytest.mark.parametrize(("device", "reserved"), [("cuda", 0.0), ("auto", 1.0), ("auto", 0.5)])
    def test_no_silent_cpu_instead_of_a_gpu(self, output: str, device: str, reserved: float) -> None:
        with pytest.raises(InvalidInput, match=r"torch sees none.*--device cpu"):
            pick_device(device, reserved_gpus=reserved)

    def test_auto_takes_the_gpu_that_is_there(self, output: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
        assert pick_device("auto") == torch.device("cuda", 0)
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"  # before the GPU is first used
        monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
        pick_device("auto")
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def fail_at(monkeypatch: pytest.MonkeyPatch, call: int, error: Exception, *, told: str = "submit") -> None:
    """Let the segmenter raise at this call, counted from 0, of what it is `told`."""
    method, calls = getattr(VideoSegmenter, told), iter(range(10**6))

    def failing(self: VideoSegmenter, *arguments: Any) -> Any:
        if next(calls) == call:
            raise error
        return method(self, *arguments)

    monkeypatch.setattr(VideoSegmenter, told, failing)


def cut_at(monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    """The segmenter says that another shot begins with its n-th frame."""
    collect, calls = VideoSegmenter.collect, iter(range(10**6))

    def cutting(self: VideoSegmenter) -> FrameResult:
        return replace(collect(self), shot_cut=next(calls) == call)

    monkeypatch.setattr(VideoSegmenter, "collect", cutting)


def zero_packet(path: Path, number: int) -> None:
    """Overwrite one packet of a file with zeros."""
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][number]
    start = data.index(bytes(packet))
    data[start : start + packet.size] = bytes(packet.size)
    path.write_bytes(data)
