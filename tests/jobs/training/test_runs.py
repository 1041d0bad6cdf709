"""A run as material: prompted and certain frames with the masks of the tables, whatever the ids."""

from pathlib import Path

import numpy as np
import pytest

from jobs.pictures.decode import decode_picture
from jobs.training.runs import RunSequences
from pipeline.errors import InvalidInput
from pipeline.run.driver import run
from pipeline.run.pool import LocalPool
from tests.pipeline.corpus import FRAMES, Corpus, config_for, square_mask, write_corpus
from tests.pipeline.media import moving_square


@pytest.fixture(scope="module")
def segmented(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Corpus]:
    folder = tmp_path_factory.mktemp("run")
    corpus = write_corpus(folder / "corpus")
    config = config_for(f"file://{folder}/output")
    assert run(corpus.tasks, config, LocalPool(config)).complete == len(FRAMES)
    return config.output, corpus


def test_all_frames_count_where_any_uncertainty_will_do(segmented: tuple[str, Corpus]) -> None:
    output, corpus = segmented
    found = RunSequences(output, corpus.manifest, max_uncertainty=1.1)
    footage = found.draw(np.random.default_rng(0), 4, 32, 1.0)
    assert len(footage.frames) == 4 and footage.frames[0].shape == (32, 32, 3)
    lengths = sorted(map(len, found.recordings))
    assert lengths == sorted([8, 12, 3, 4])  # `folder` is prompted at its third of five frames


def test_prompted_frames_count_however_uncertain_the_network_is(segmented: tuple[str, Corpus]) -> None:
    output, corpus = segmented
    (only,) = RunSequences(output, corpus.manifest, max_uncertainty=-1).recordings
    assert len(only) == 2  # frames 0 and 4 of two/objects; one frame makes no sequence
    truth, shown = square_mask(moving_square(12, 48, 64)[0]), only[0].labels
    np.testing.assert_array_equal(shown > 0, (truth > 0) & (shown > 0))
    assert set(np.unique(only[0].labels)) == {0, 1} and 2 in np.unique(only[1].labels)  # id 3 became 2
    assert np.abs(decode_picture(only[0].picture, "").astype(int) - moving_square(12, 48, 64)[0]).mean() < 12


def test_frames_are_spread_over_a_long_video(segmented: tuple[str, Corpus], monkeypatch: pytest.MonkeyPatch) -> None:
    output, corpus = segmented
    monkeypatch.setattr("jobs.training.runs._MOST_FRAMES", 3)
    found = RunSequences(output, corpus.manifest, max_uncertainty=1.1)
    assert [len(recording) for recording in found.recordings] == [3, 3, 3, 3]


def test_without_a_usable_video_it_says_what_to_do(segmented: tuple[str, Corpus], tmp_path: Path) -> None:
    output, _ = segmented
    (tmp_path / "other.jsonl").write_text(
        '{"video_id": "other", "video_uri": "a.mp4", "mask_uri": "a.png", "mask_frame": 0}\n'
    )
    with pytest.raises(InvalidInput, match="segment it first"):
        RunSequences(output, str(tmp_path / "other.jsonl"))
