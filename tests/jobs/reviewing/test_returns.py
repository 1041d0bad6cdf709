"""The return test: what comes back at the prompts is what the segmenter makes of the frames in the other order."""

from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from jobs.reviewing.returns import return_test
from jobs.reviewing.returns_file import FILE, RETURNS, Return, read_returns, write_returns
from model.metrics import object_similarity
from model.result import Prompt
from model.segmenter import VideoSegmenter
from pipeline.errors import InvalidInput
from pipeline.input.manifest import VideoTask, read_manifest
from pipeline.input.prompts import load_prompts
from pipeline.input.weights import load_network
from pipeline.output import tables
from pipeline.output.labels import committed_video
from pipeline.output.runs import RunRecord, write_run
from pipeline.storage.store import Store
from tests.jobs.reviewing.made import put
from tests.pipeline.corpus import HEIGHT, WIDTH, Corpus, config_for, png, segmented, write_corpus, write_rows
from tests.pipeline.media import moving_square, read, write_frames

TRAINED = "lite0-open"
VIDEOS = ("two/objects", "folder", "span")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def made(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Three of the four videos are done."""
    tasks = [task for task in corpus.tasks if task.video_id in VIDEOS]
    return segmented(tasks, str(tmp_path_factory.mktemp("made") / "out"), TRAINED)


@pytest.fixture
def to(tmp_path: Path) -> str:
    return str(tmp_path / "returns.parquet")


def by_hand(output: str, task: VideoTask) -> dict[int, tuple[float, int]]:
    """J and number of frames by object, from label maps and frames that are all in memory."""
    config, video = config_for(output), committed_video(output, task.video_id)
    span = read(task.video_uri, start_frame=task.start_frame, end_frame=task.end_frame)
    frames = {frame.index: frame.rgb for frame in span}
    labels = {found.frame_index: found.labels for found in video.labels(sorted(frames))}
    prompts = load_prompts(task, *video.size)
    first = {i: next(f for f in prompts if i in prompts[f].object_ids) for i in prompts.object_ids}
    areas = {i: {f: int((labels[f] == i).sum()) for f in frames if f > first[i]} for i in first}
    half = {i: np.median([a for a in areas[i].values() if a]) / 2 for i in first}
    last = {i: max(f for f, area in areas[i].items() if area and area >= half[i]) for i in first}
    segmenter = VideoSegmenter(load_network(TRAINED), config.segmenter, object_ids=prompts.object_ids)
    found = {}
    for index in sorted((f for f in frames if min(first.values()) <= f <= max(last.values())), reverse=True):
        begun = tuple(i for i in first if last[i] == index)
        mask = np.where(np.isin(labels[index], begun), labels[index], 0)
        prompt = Prompt(labels=mask, object_ids=begun) if begun else None
        result = segmenter.step(torch.from_numpy(frames[index].copy()).permute(2, 0, 1), prompt)
        for i in (i for i in first if first[i] == index):
            found[i] = object_similarity(result.labels, prompts[index].labels, i), last[i] - index
    return found


def test_each_object_comes_back_as_in_a_reversed_video(made: str, corpus: Corpus, to: str) -> None:
    found = return_test(made, corpus.tasks, to=to, device="cpu")
    assert found.skipped == {}
    wanted = {
        (task.video_id, object_id): value
        for task in corpus.tasks
        if task.video_id in VIDEOS
        for object_id, value in by_hand(made, task).items()
    }
    assert {(one.video_id, one.object_id): (one.return_j, one.frames) for one in found.returns} == wanted
    assert [one.return_j for one in found.returns] == sorted(value for value, _ in wanted.values())
    assert max(value for value, _ in wanted.values()) > 0.5
    assert all(one.identity == committed_video(made, one.video_id).identity for one in found.returns)
    assert pq.read_table(to).schema.equals(RETURNS, check_metadata=True)
    assert sorted(read_returns(made, to), key=str) == sorted(found.returns, key=str)


def test_what_is_known_of_a_commit_is_kept(made: str, corpus: Corpus, to: str) -> None:
    asked: list[list[str]] = []

    def shown(tasks: Iterable[VideoTask], total: int) -> Iterable[VideoTask]:
        asked.append([task.video_id for task in tasks])
        assert len(asked[-1]) == total
        return tasks

    one = return_test(made, corpus.tasks, sample=1, to=to, device="cpu", shown=shown)
    two = return_test(made, corpus.tasks, sample=2, to=to, device="cpu", shown=shown)
    assert {r.video_id for r in one.returns} < {r.video_id for r in two.returns}
    again = return_test(made, corpus.tasks, sample=2, to=to, device="cpu", shown=shown)
    assert again == two and [len(videos) for videos in asked] == [1, 1, 0]


class TestMadeMasks:
    @pytest.fixture
    def tasks(self, tmp_path: Path) -> list[VideoTask]:
        """Object 1 is found, 2 is lost at once, 3 has no pixel in its prompt, 4 is prompted in the last frame."""
        write_frames(tmp_path / "frames", moving_square(4, HEIGHT, WIDTH), ".png")
        for name, labels in (("0.png", self.labels(1, 2)), ("3.png", self.labels(4))):
            (tmp_path / name).write_bytes(png(labels))
        prompts = [
            {"frame_index": 0, "mask_uri": "0.png", "object_ids": [1, 2, 3]},
            {"frame_index": 3, "mask_uri": "3.png", "object_ids": [4]},
        ]
        row = {"video_id": "v", "video_uri": "frames", "prompts": prompts}
        return read_manifest(str(write_rows(tmp_path / "manifest.jsonl", (row,))))

    def labels(self, *objects: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
        labels = np.zeros((HEIGHT, WIDTH), np.uint8)
        for object_id in objects:
            labels[8 * object_id : 8 * object_id + 6, 5:30] = object_id
        return labels

    def put(self, output: str, *, columns: int = 0, **changes: str) -> None:
        """`columns`: of object 1 in the last frame."""
        last = self.labels(4)
        last[8:14, 5 : 5 + columns] = 1
        masks = [self.labels(1, 2), self.labels(1), self.labels(1), last]
        put(output, "v", masks, prompts={0: {1: False, 2: False, 3: False}, 3: {4: False}})
        (run_id,) = tables.open(output, "videos").to_table()["run_id"].to_pylist()
        config = asdict(config_for(output)) | changes
        write_run(Store(output), RunRecord(run_id=run_id, started_at=datetime.now(UTC), videos=1, config=config))

    def test_objects_that_have_no_way_back(self, tasks: list[VideoTask], output: str) -> None:
        self.put(output)
        found = return_test(output, tasks, device="cpu")
        by_object = {one.object_id: (one.return_j, one.frames) for one in found.returns}
        assert by_object.pop(1)[1] == 2
        assert by_object == {2: (0.0, 0), 3: (None, 0), 4: (None, 0)}
        assert [one.object_id for one in found.returns][-2:] == [3, 4]
        assert Store(output).get(FILE)

    def test_what_is_kept_of_a_result_that_was_replaced_is_dropped(self, tasks: list[VideoTask], output: str) -> None:
        self.put(output)
        old = Return(video_id="v", identity="b" * 32, object_id=9, return_j=0.5, frames=1)
        write_returns(output, None, [old, replace(old, video_id="gone")])
        found = return_test(output, tasks, device="cpu").returns
        assert {one.identity for one in found} == {"a" * 32} and len(found) == 4
        assert sorted(one.object_id for one in read_returns(output, None)) == [1, 2, 3, 4]

    @pytest.mark.parametrize(("columns", "frames"), [(12, 2), (13, 3)])
    def test_less_than_half_of_an_object_begins_no_way_back(
        self, tasks: list[VideoTask], output: str, columns: int, frames: int
    ) -> None:
        self.put(output, columns=columns)
        found = return_test(output, tasks, device="cpu")
        assert {one.object_id: one.frames for one in found.returns}[1] == frames

    def test_other_weights_than_the_runs_are_told(self, tasks: list[VideoTask], output: str) -> None:
        self.put(output, checkpoint_fingerprint="0" * 16)
        found = return_test(output, tasks, device="cpu")
        assert found.returns == () and "made with weights 0000" in found.skipped["v"]

    def test_a_video_whose_frames_are_gone_is_told(self, tasks: list[VideoTask], output: str, tmp_path: Path) -> None:
        self.put(output)
        found = return_test(output, [replace(tasks[0], video_uri=f"file://{tmp_path}/gone")], device="cpu")
        assert found.returns == () and "gone does not exist" in found.skipped["v"]

    def test_a_manifest_of_other_videos(self, tasks: list[VideoTask], output: str) -> None:
        self.put(output)
        with pytest.raises(InvalidInput, match="no committed video of this manifest"):
            return_test(output, [replace(tasks[0], video_id="w")], device="cpu")

    @pytest.mark.parametrize("data", [b"no table", None])
    def test_another_table_in_its_place(self, tasks: list[VideoTask], output: str, to: str, data: bytes | None) -> None:
        self.put(output)
        if data is None:
            pq.write_table(tables.open(output, "videos").to_table(), to)
        else:
            Path(to).write_bytes(data)
        with pytest.raises(InvalidInput, match=r"returns\.parquet is no table of returns.*delete it"):
            return_test(output, tasks, to=to, device="cpu")
