"""Label maps of a committed video: read through its own commit, in order, frames without rows as background."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model.result import BankStatistics, FrameResult, ObjectStatistics
from pipeline.errors import InvalidInput, InvalidOutput
from pipeline.input.frames import Frame
from pipeline.output.commits import Commit, CommitLog
from pipeline.output.labels import CommittedVideo, committed_video, committed_videos
from pipeline.output.marker import claim_output
from pipeline.output.writer import VideoWriter
from pipeline.storage.store import Store
from tests.pipeline.made_commits import make_commit

HEIGHT, WIDTH = 6, 8
TRUTH = np.zeros((5, HEIGHT, WIDTH), np.int32)
TRUTH[1:, :2, :3] = 300
TRUTH[2:4, 3:, 4:] = 7
OTHER = np.roll(TRUTH, 2, axis=2)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(str(tmp_path / "out"))
    claim_output(store)
    return store


def put(store: Store, video_id: str, truth: NDArray[np.int32], *, attempt: str = "1", identity: str = "a" * 32) -> None:
    """Object 300 is prompted in frame 1, object 7 in frame 2; from then on they have a row a frame."""
    with VideoWriter(store, video_id, attempt) as writer:
        for t, labels in enumerate(truth):
            objects = tuple(
                ObjectStatistics(object_id=i, score=0.5, uncertainty=None if t == begin else 0.25)
                for i, begin in ((7, 2), (300, 1))
                if t >= begin
            )
            frame = Frame(
                index=t, name=None, timestamp_us=None, rgb=np.zeros((HEIGHT, WIDTH, 3), np.uint8), damaged=False
            )
            result = FrameResult(labels=labels, objects=objects, statistics=None, bank=BankStatistics(), prompted=False)
            writer.add(frame, result)
        files = writer.finish()
    made = make_commit(video_id, identity, attempt=attempt)
    CommitLog(store).commit(Commit(video_id=video_id, identity=identity, files=files, video=made.video))


def drawn(video: CommittedVideo, frames: "list[int] | range") -> NDArray[np.int32]:
    return np.stack([frame.labels for frame in video.labels(frames)])


def test_labels_are_what_was_written(store: Store) -> None:
    put(store, "clip", TRUTH)
    video = committed_video(store.url, "clip")
    assert video.size == (HEIGHT, WIDTH)
    np.testing.assert_array_equal(drawn(video, range(5)), TRUTH)


def test_some_frames_and_frames_without_rows(store: Store) -> None:
    put(store, "clip", TRUTH)
    video = committed_video(store.url, "clip")
    np.testing.assert_array_equal(drawn(video, [0, 3, 99]), [TRUTH[0], TRUTH[3], TRUTH[0]])
    uncertainty = [dict(frame.uncertainty) for frame in video.labels([0, 1, 2, 4])]
    assert uncertainty == [{}, {300: None}, {7: None, 300: 0.25}, {7: 0.25, 300: 0.25}]


def test_each_video_is_its_own(store: Store) -> None:
    put(store, "clip", TRUTH)
    put(store, "other", OTHER)
    videos = committed_videos(store.url)
    assert videos.keys() == {"clip", "other"}
    np.testing.assert_array_equal(drawn(videos["other"], range(5)), OTHER)
    assert videos["clip"].masks(["object_id"])["object_id"].to_pylist() == [300, 7, 300, 7, 300, 7, 300]
    assert videos["clip"].frames(["frame_index"])["frame_index"].to_pylist() == list(range(5))


def test_it_is_the_current_result(store: Store) -> None:
    put(store, "clip", TRUTH)
    put(store, "clip", OTHER, attempt="2", identity="b" * 32)
    np.testing.assert_array_equal(drawn(committed_video(store.url, "clip"), range(5)), OTHER)


def test_one_video_costs_one_commit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        put(store, f"clip-{number}", TRUTH)
    read: list[str] = []
    get = Store.get

    def counted(self: Store, name: str) -> bytes:
        read.append(name)
        return get(self, name)

    monkeypatch.setattr(Store, "get", counted)
    drawn(committed_video(store.url, "clip-3"), range(5))
    assert sum(name.startswith("_commits/") for name in read) == 1
    read.clear()
    for video in committed_videos(store.url).values():
        drawn(video, range(5))
    assert sum(name.startswith("_commits/") for name in read) == 5


def test_what_is_not_there_is_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no committed video 'clip': segment it first"):
        committed_video(store.url, "clip")
    with pytest.raises(InvalidOutput, match="no vos-batch output"):
        committed_videos(str(tmp_path / "elsewhere"))
