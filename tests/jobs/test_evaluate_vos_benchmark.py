"""`vos-batch evaluate` beside vos-benchmark, an evaluator of its own: equal numbers, and where the two differ."""

from multiprocessing.pool import ThreadPool
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from vos_benchmark import benchmark as theirs

from jobs.evaluation.scores import Evaluation
from jobs.evaluation.scoring import evaluate
from model.synthetic import make_clip
from tests.jobs.evaluation.scored import labels, put_truth, put_video

LabelMaps = NDArray[np.uint8]
Score = tuple[float, float]
"""J and F."""


@pytest.fixture(autouse=True)
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    # Forking a process that has threads is deprecated from Python 3.12 on.
    monkeypatch.setattr(theirs, "Pool", ThreadPool)


def their_scores(folder: Path, predictions: LabelMaps, truth: LabelMaps, *, first: int, skip_ends: bool) -> list[Score]:
    """By ascending id; frames from `first` on."""
    roots = [str(write(folder / name, maps, first)) for name, maps in (("gt", truth), ("masks", predictions))]
    *_, per_dataset = theirs.benchmark(
        roots[:1], roots[1:], num_processes=1, verbose=False, skip_first_and_last=skip_ends
    )
    J, F = per_dataset[0]["v"]
    return [(J[object_id] / 100, F[object_id] / 100) for object_id in sorted(J)]


def write(root: Path, maps: LabelMaps, first: int) -> Path:
    (root / "v").mkdir(parents=True)
    for index in range(first, len(maps)):
        Image.fromarray(maps[index]).save(root / "v" / f"{index:05d}.png")
    return root


def our_scores(folder: Path, predictions: LabelMaps, truth: LabelMaps, protocol: str) -> list[Score]:
    put_video(str(folder / "out"), "v", predictions)
    return scores(evaluate(str(folder / "out"), put_truth(folder / "davis", "v", truth), protocol=protocol))


def scores(evaluation: Evaluation) -> list[Score]:
    return [(score.J, score.F) for score in evaluation.objects]


def both(folder: Path, predictions: LabelMaps, truth: LabelMaps, protocol: str) -> tuple[list[Score], list[Score]]:
    """Ours and theirs. Its way to leave out the prompted frame 0 is a truth without it."""
    official = protocol == "davis2017"
    found = their_scores(folder, predictions, truth, first=0 if official else 1, skip_ends=official)
    return our_scores(folder, predictions, truth, protocol), found


def spoiled(truth: LabelMaps) -> LabelMaps:
    """Masks that drift away, are too thin in every third frame and are lost in every fifth."""
    maps = np.stack([np.roll(frame, (t, 2 * t), axis=(0, 1)) for t, frame in enumerate(truth)])
    for thin in maps[2::3]:
        thin[:] = cv2.erode(thin, np.ones((5, 5), np.uint8))
    maps[4::5] = 0
    return maps


@pytest.mark.parametrize("protocol", ["davis2017", "all-frames"])
@pytest.mark.parametrize("seed", range(4))
def test_equal_scores(tmp_path: Path, seed: int, protocol: str) -> None:
    truth = make_clip(seed, num_frames=9, height=90, width=140, num_objects=1 + seed).labels
    ours, found = both(tmp_path, spoiled(truth), truth, protocol)
    assert len(ours) == 1 + seed
    assert all(0.05 < value < 0.95 for score in found for value in score)
    assert np.array(ours) == pytest.approx(np.array(found), abs=1e-12)


def test_an_object_counts_before_it_comes_by_our_davis2017_alone(tmp_path: Path) -> None:
    truth = labels(1, 1, 1, 1, 2, 2, 2)
    predictions = labels(1, 1, 1, 1, 2, 0, 0)
    ours, found = both(tmp_path, predictions, truth, "davis2017")
    assert (ours[1], found[1]) == ((0.8, 0.8), (0.5, 0.5))


def test_all_frames_count_from_the_truth_on_and_theirs_from_the_first_mask_of_any(tmp_path: Path) -> None:
    truth, predictions = labels(1, 1, 1, 2, 2), labels(1, 2, 2, 2, 2)
    ours, found = both(tmp_path, predictions, truth, "all-frames")
    assert (ours[1], found[1]) == ((1, 1), (0.5, 0.5))


def test_void_is_an_object_of_theirs(tmp_path: Path) -> None:
    truth = labels(1, 1, 1, 1)
    truth[:, :, 8:10] = 255
    ours, found = both(tmp_path, labels(1, 1, 1, 1), truth, "davis2017")
    assert (ours, len(found)) == ([(1, 1)], 2)
    assert found[0][0] == pytest.approx(0.8)
