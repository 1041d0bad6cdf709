"""What a run promises over any pool and store; `test_driver.py` and `test_ray_pool.py` fill in both."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow.dataset as ds
import pytest
import torch
from fsspec.core import url_to_fs
from numpy.typing import NDArray
from pycocotools import mask as coco

from model.segmenter import SegmenterConfig, VideoSegmenter
from pipeline.errors import InvalidCheckpoint
from pipeline.input.manifest import VideoTask
from pipeline.input.prompts import load_prompts
from pipeline.input.video import open_video
from pipeline.input.weights import load_network
from pipeline.output import tables
from pipeline.run.config import WorkerConfig
from pipeline.run.driver import RunSummary, run
from pipeline.run.pool import LocalPool, Pool
from pipeline.storage.store import Store
from tests.pipeline.corpus import (
    BROKEN,
    CHECKPOINT,
    FRAMES,
    Corpus,
    config_for,
    digests,
    expected_masks,
    write_corpus,
)

LabelsByFrame = dict[int, NDArray[np.int32]]


class NoPool(LocalPool):
    """For a run that must find nothing to do."""

    def __enter__(self) -> "NoPool":
        raise AssertionError("the pool was started")


@dataclass(frozen=True, kw_only=True)
class Completed:
    """A run over good and broken videos."""

    corpus: Corpus
    output: str
    summary: RunSummary

    @property
    def config(self) -> WorkerConfig:
        return config_for(self.output)


class PoolContract:
    """The sub-class says where the data lie and what works."""

    @pytest.fixture(scope="class")
    @classmethod
    def corpora(cls, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Corpus]:
        """Makes a corpus that may be changed."""
        return lambda: write_corpus(tmp_path_factory.mktemp("corpus"))

    @pytest.fixture(scope="class")
    @classmethod
    def outputs(cls, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
        """Makes URLs of new outputs."""
        return lambda: f"file://{tmp_path_factory.mktemp('out')}"

    @pytest.fixture(scope="class")
    @classmethod
    def make_pool(cls) -> Callable[[WorkerConfig], Pool]:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def completed(
        cls,
        corpora: Callable[[], Corpus],
        outputs: Callable[[], str],
        make_pool: Callable[[WorkerConfig], Pool],
    ) -> Completed:
        corpus, output = corpora(), outputs()
        config = config_for(output)
        summary = run(corpus.tasks + corpus.broken_tasks, config, make_pool(config))
        return Completed(corpus=corpus, output=output, summary=summary)

    def test_every_video_is_complete_with_all_its_rows(self, completed: Completed) -> None:
        assert (completed.summary.complete, completed.summary.skipped) == (4, 0)
        assert completed.summary.frames == sum(map(len, FRAMES.values()))
        frames = tables.open(completed.output, "frames").to_table().to_pylist()
        assert sorted((row["video_id"], row["frame_index"]) for row in frames) == sorted(
            (video_id, frame) for video_id, numbers in FRAMES.items() for frame in numbers
        )
        masks = tables.open(completed.output, "masks").to_table().to_pylist()
        found = [(row["video_id"], row["frame_index"], row["object_id"]) for row in masks]
        assert len(found) == len(set(found)) and set(found) == expected_masks()

    def test_the_videos_table_tells_who_and_what(self, completed: Completed) -> None:
        folder = _dataset(completed.output, "videos").to_table().to_pylist()
        rows = {row["video_id"]: row for row in folder}
        assert rows.keys() == FRAMES.keys() and len(folder) == len(rows)
        for video_id, row in rows.items():
            assert (row["status"], row["attempts"], row["run_id"]) == ("complete", 1, completed.summary.run_id)
            assert (row["frames_decoded"], row["width"], row["height"]) == (len(FRAMES[video_id]), 64, 48)
        assert rows["two/objects"]["objects"] == [1, 3]

    def test_the_same_tables_come_from_every_pool(
        self, completed: Completed, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        config = config_for(tmp_path_factory.mktemp("local"))
        run(completed.corpus.tasks, config, LocalPool(config))
        assert len(digests(completed.output)) == 8
        assert digests(completed.output) == digests(config.output)

    def test_the_files_are_what_the_commits_say(self, completed: Completed) -> None:
        store = Store(completed.output)
        rows = tables.open(completed.output, "videos").to_table().to_pylist()
        files = {row[f"{table}_file"]: row[f"{table}_sha256"] for row in rows for table in ("masks", "frames")}
        for path, sha256 in files.items():
            assert hashlib.sha256(store.get(path)).hexdigest() == sha256
        assert _files(completed.output) == files.keys()

    def test_a_broken_video_is_a_failure_that_names_video_and_reason(self, completed: Completed) -> None:
        assert completed.summary.failed.keys() == BROKEN.keys()
        rows = {row["video_id"]: row for row in tables.open(completed.output, "failures").to_table().to_pylist()}
        assert rows.keys() == BROKEN.keys()
        for task in completed.corpus.broken_tasks:
            row, failure = rows[task.video_id], completed.summary.failed[task.video_id]
            assert re.search(BROKEN[task.video_id], failure.message)
            assert task.video_id in failure.message or task.video_uri in failure.message
            assert not failure.retryable
            assert (row["message"], row["cause"], row["row"]) == (failure.message, failure.cause, task.row)

    def test_a_second_run_starts_no_worker(self, completed: Completed) -> None:
        before = digests(completed.output)
        summary = run(completed.corpus.tasks, completed.config, NoPool(completed.config))
        assert (summary.skipped, summary.complete, summary.failed) == (4, 0, {})
        assert digests(completed.output) == before

    def test_plain_reading_gives_the_labels_of_the_segmenter(self, completed: Completed) -> None:
        """Without our code: Parquet files by a glob, masks by pycocotools."""
        stored = _labels_by_video(completed.output)
        for task in completed.corpus.tasks:
            by_hand = _segment_by_hand(task)
            assert by_hand.keys() == set(FRAMES[task.video_id])
            for frame, labels in by_hand.items():
                found = stored[task.video_id].get(frame, np.zeros_like(labels))
                assert np.array_equal(found, labels), f"{task.video_id}, frame {frame}"

    def test_a_changed_mask_redoes_just_its_video(
        self,
        corpora: Callable[[], Corpus],
        outputs: Callable[[], str],
        make_pool: Callable[[WorkerConfig], Pool],
    ) -> None:
        corpus, config = corpora(), config_for(outputs())
        run(corpus.tasks, config, LocalPool(config))
        before, files = digests(config.output), _files(config.output)
        corpus.change_mask("walk-0.png")
        summary = run(corpus.tasks, config, make_pool(config))
        after = digests(config.output)
        assert (summary.skipped, summary.complete) == (3, 1)
        assert {video_id for video_id, table in before if before[video_id, table] != after[video_id, table]} == {"walk"}
        # The replaced files stay for those who have them open, and go with a later run.
        assert files < _files(config.output) and len(_files(config.output)) == 10
        assert run(corpus.tasks, config, NoPool(config), grace_s=0.0).skipped == 4
        assert len(_files(config.output)) == 8 and len(files - _files(config.output)) == 2
        videos = _dataset(config.output, "videos").to_table()["video_id"].to_pylist()
        assert sorted(videos) == sorted(FRAMES)

    def test_a_changed_setting_redoes_every_video(
        self,
        corpora: Callable[[], Corpus],
        outputs: Callable[[], str],
        make_pool: Callable[[WorkerConfig], Pool],
    ) -> None:
        corpus, config = corpora(), config_for(outputs())
        run(corpus.tasks, config, LocalPool(config))
        files = _files(config.output)
        smaller = replace(config, segmenter=SegmenterConfig(max_side=32))
        summary = run(corpus.tasks, smaller, make_pool(smaller), grace_s=0.0)
        assert (summary.skipped, summary.complete) == (0, 4)
        assert len(_files(config.output)) == 8 and files.isdisjoint(_files(config.output))

    def test_other_weights_than_planned_end_the_run(
        self,
        corpora: Callable[[], Corpus],
        outputs: Callable[[], str],
        make_pool: Callable[[WorkerConfig], Pool],
    ) -> None:
        config = config_for(outputs(), checkpoint_fingerprint="0" * 16)
        with pytest.raises(InvalidCheckpoint, match=r"fingerprint.*0000000000000000"):
            run(corpora().tasks, config, make_pool(config))
        assert Store(config.output).list("_commits") == []


def _files(output: str) -> set[str]:
    """Names below OUTPUT of all masks and frames files."""
    store = Store(output)
    return {f"{table}/{entry.name}" for table in ("masks", "frames") for entry in store.list(table)}


def _dataset(output: str, table: str) -> ds.Dataset:
    filesystem, root = url_to_fs(output)
    return ds.dataset(f"{root}/{table}", filesystem=filesystem, format="parquet")


def _labels_by_video(output: str) -> dict[str, LabelsByFrame]:
    videos: dict[str, LabelsByFrame] = defaultdict(dict)
    for row in _dataset(output, "masks").to_table().to_pylist():
        mask = coco.decode({"size": [row["height"], row["width"]], "counts": row["rle"]})
        labels = videos[row["video_id"]].setdefault(row["frame_index"], np.zeros(mask.shape, np.int32))
        labels[mask > 0] = row["object_id"]
    return videos


def _segment_by_hand(task: VideoTask) -> LabelsByFrame:
    with open_video(task.video_uri, start_frame=task.start_frame, end_frame=task.end_frame) as reader:
        prompts = load_prompts(task, reader.info.height, reader.info.width)
        segmenter = VideoSegmenter(load_network(CHECKPOINT), SegmenterConfig(min_side=0), object_ids=prompts.object_ids)
        return {
            frame.index: segmenter.step(torch.from_numpy(frame.rgb).permute(2, 0, 1), prompts.get(frame.index)).labels
            for frame in reader
        }
