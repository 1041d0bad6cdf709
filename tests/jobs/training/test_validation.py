"""Validation: what is given to the segmenter, what is scored, and that it is the same every time."""

from pathlib import Path

import numpy as np
import pytest
import torch

from jobs.datasets.davis import read_sequences
from jobs.pictures.label_maps import LabelMap
from jobs.training.validation import Validation, Video, composed_validation, davis_validation
from model.checkpoint import load_untrained
from model.metrics import SequenceScorer
from model.network import AFBURR
from model.result import VOID, FrameResult, Prompt
from model.segmenter import SegmenterConfig, VideoSegmenter
from pipeline.errors import InvalidInput
from pipeline.input.frames import Rgb
from tests.jobs.material import held_back, labels, picture, trainable, two_boxes, write_sequence, write_stills

HELD_BACK = held_back(3)


@pytest.fixture(scope="module")
def network() -> AFBURR:
    return load_untrained("untrained")


def video(*truths: LabelMap | None) -> Video:
    return Video(num_frames=len(truths), read=lambda t: (picture(t), truths[t]))


def validation(*videos: Video) -> Validation:
    return Validation(videos=videos, about="some videos")


@pytest.fixture
def prompts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Ids of the prompt of every step, () without one."""
    seen: list[tuple[int, ...]] = []
    step = VideoSegmenter.step

    def watched(self: VideoSegmenter, frame: object, prompt: Prompt | None = None) -> FrameResult:
        seen.append(prompt.object_ids if prompt else ())
        return step(self, frame, prompt)  # type: ignore[arg-type]

    monkeypatch.setattr(VideoSegmenter, "step", watched)
    return seen


def test_every_object_is_given_where_it_is_first_annotated(network: AFBURR, prompts: list[tuple[int, ...]]) -> None:
    second = labels((10, 35, 8, 36))
    void = second.copy()
    void[:5] = VOID
    validation(video(void, None, two_boxes(), two_boxes())).score(network)
    assert prompts == [(1,), (), (2,), ()]


def test_the_score_is_that_of_the_users_loop(network: AFBURR) -> None:
    """By hand: the prompted frame does not count, the others do, and the mean is over objects."""
    known = video(two_boxes(), two_boxes(), two_boxes())
    segmenter, scorer = VideoSegmenter(network, SegmenterConfig()), SequenceScorer()
    for t in range(3):
        frame, _ = known.read(t)
        prompt = Prompt(labels=two_boxes().astype(np.int32), object_ids=(1, 2)) if t == 0 else None
        result = segmenter.step(torch_picture(frame), prompt)
        scorer.add(result.labels, two_boxes(), prompted=t == 0)
    one, two = scorer.all_frames()
    score = validation(known).score(network)
    found = [score.J, score.F]
    assert found == pytest.approx([(one.J + two.J) / 2, (one.F + two.F) / 2])
    assert score.J_and_F == pytest.approx((score.J + score.F) / 2)


def torch_picture(frame: Rgb) -> torch.Tensor:
    return torch.from_numpy(frame).permute(2, 0, 1)


def test_objects_of_all_videos_count_the_same(network: AFBURR) -> None:
    one, two = video(two_boxes(), two_boxes()), video(labels((0, 40, 0, 40)), labels((0, 40, 0, 40)))
    alone = [validation(one).score(network), validation(two).score(network)]
    found = validation(one, two).score(network).J
    assert found == pytest.approx((2 * alone[0].J + alone[1].J) / 3)


def test_the_picture_shows_frames_of_the_first_video(network: AFBURR) -> None:
    score = validation(video(*[two_boxes()] * 9), video(two_boxes(), two_boxes())).score(network)
    assert score.sheet.dtype == np.uint8 and score.sheet.shape[1:] == (1200, 3)
    assert score.sheet.std() > 10


def test_without_anything_to_score_it_says_so(network: AFBURR) -> None:
    with pytest.raises(InvalidInput, match="some videos: no object has a mask in two frames"):
        validation(video(two_boxes())).score(network)


def test_composed_clips_are_of_held_back_stills_and_always_the_same(tmp_path: Path) -> None:
    folder = str(write_stills(tmp_path, [*trainable(2), *HELD_BACK]))
    alone = str(write_stills(tmp_path / "alone", HELD_BACK))
    one, again = composed_validation([folder], side=32), composed_validation([folder], side=32)
    assert one is not None and again is not None and len(one.videos) == 6
    for first, second in zip(one.videos, again.videos, strict=True):
        assert first.num_frames == 12
        np.testing.assert_array_equal(first.read(11)[0], second.read(11)[0])
        assert set(np.unique(first.read(0)[1])) > {0}  # type: ignore[arg-type]
    assert composed_validation([alone], side=32) is not None
    assert one.about == "6 composed clips of 12 frames of held-back stills at 32 px, seed 0"


def test_folders_without_held_back_stills_are_left_out(tmp_path: Path) -> None:
    some = str(write_stills(tmp_path / "some", HELD_BACK))
    none = str(write_stills(tmp_path / "none", trainable(2)))
    assert composed_validation([none], side=32) is None
    assert composed_validation([none, some], side=32) is not None


def test_sequences_are_read_frame_by_frame(tmp_path: Path, network: AFBURR) -> None:
    """Also frames without a mask: the segmenter sees every frame, the scorer those with a truth."""
    root = write_sequence(tmp_path, "dogs", 4, level="480p")
    (root / "Annotations/480p/dogs/9.png").unlink()
    found = davis_validation(read_sequences(str(root)))
    (dogs,) = found.videos
    assert [dogs.read(t)[1] is None for t in range(4)] == [False, True, False, False]
    assert [int(dogs.read(t)[0].mean().round()) for t in range(4)] == [10, 20, 30, 40]
    np.testing.assert_array_equal(dogs.read(2)[1], two_boxes())  # type: ignore[arg-type]
    assert found.about == "1 sequences (dogs)"
    assert 0 <= found.score(network).J_and_F <= 1


def test_a_damaged_frame_is_named(tmp_path: Path, network: AFBURR) -> None:
    root = write_sequence(tmp_path, "dogs", 2)
    (root / "JPEGImages/dogs/9.jpg").write_bytes(b"no picture")
    with pytest.raises(InvalidInput, match=r"JPEGImages/dogs/9\.jpg: is no whole JPEG or PNG picture"):
        davis_validation(read_sequences(str(root))).score(network)
