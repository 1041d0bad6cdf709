"""Prompts as stills: which are held back, what is seen of small objects, and what is said of those at fault."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from jobs.training.corpus import Split, read_prompts, split
from jobs.training.stills import is_held_back
from model.result import VOID
from pipeline.errors import InvalidInput
from tests.jobs.material import picture, write
from tests.pipeline.corpus import Corpus, png, write_corpus, write_rows


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


def names(part: Split) -> tuple[list[str], list[str]]:
    return [frame.name for frame in part.learnt], [frame.name for frame in part.held_back]


def rows(folder: Path, count: int) -> str:
    """A manifest that names nothing that exists."""
    made = tuple(
        {"video_id": f"v{number}", "video_uri": "v.mp4", "mask_uri": "m.png", "mask_frame": 0}
        for number in range(count)
    )
    return str(write_rows(folder / f"{count}.jsonl", made))


def test_every_tenth_prompt_is_held_back_by_its_name(tmp_path: Path) -> None:
    learnt, held_back = names(split(rows(tmp_path, 400)))
    assert len(learnt) + len(held_back) == 400 and 20 < len(held_back) < 60
    assert all(map(is_held_back, held_back)) and not any(map(is_held_back, learnt))
    fewer = names(split(rows(tmp_path, 200)))
    assert set(fewer[0]) < set(learnt) and set(fewer[1]) < set(held_back)


@pytest.mark.parametrize("count", [2, 3, 9])
def test_of_few_prompts_at_least_one_is_held_back_and_one_learnt_from(tmp_path: Path, count: int) -> None:
    learnt, held_back = names(split(rows(tmp_path, count)))
    assert learnt and held_back and not set(learnt) & set(held_back)
    assert len(learnt) + len(held_back) == count


def test_a_single_prompt_is_both(tmp_path: Path) -> None:
    assert names(split(rows(tmp_path, 1))) == (["v0, frame 0"], ["v0, frame 0"])


def test_frames_with_boxes_are_not_learnt_from(tmp_path: Path) -> None:
    """Their masks are guesses."""
    box, polygon = {"box": [5, 5, 20, 20]}, {"polygons": [[0, 0, 9, 0, 9, 9]]}
    prompts = [
        {"frame_index": number, "objects": [{"object_id": 1, **shape} for shape in shapes]}
        for number, shapes in enumerate([[box], [polygon], [polygon]])
    ]
    prompts += [{"frame_index": 2, "objects": [{"object_id": 2, **box}]}]
    row = {"video_id": "v", "video_uri": "v.mp4"}
    assert names(split(str(write_rows(tmp_path / "m.jsonl", ({**row, "prompts": prompts},))))) == (
        ["v, frame 1"],
        ["v, frame 1"],
    )
    with pytest.raises(InvalidInput, match="all its prompts are boxes: give masks, rle or polygons"):
        split(str(write_rows(tmp_path / "m.jsonl", ({**row, "prompts": prompts[:1]},))))


def test_of_a_large_corpus_a_thousand_are_learnt_from(tmp_path: Path) -> None:
    learnt, held_back = names(split(rows(tmp_path, 3000)))
    assert (len(learnt), len(held_back)) == (1000, 100)


def test_files_folders_and_spans_are_read_at_their_prompts(corpus: Corpus) -> None:
    parts = split(corpus.manifest)
    found = read_prompts([*parts.learnt, *parts.held_back], side=32)
    assert found.counts == "5 prompted frames of 4 videos with 5 objects" and not found.faults
    assert sorted(still.name for still in found.whole) == [
        "folder, frame 2",
        "span, frame 3",
        "two/objects, frame 0",
        "two/objects, frame 4",
        "walk, frame 0",
    ]
    for still in found.whole:
        assert still.object_ids() == [1]
        red = still.picture[..., 0].astype(int)
        assert red[still.labels == 1].mean() > red[still.labels == 0].mean() + 50


def test_frames_at_fault_are_left_out_and_named(corpus: Corpus) -> None:
    both = [*split(corpus.manifest).learnt, *split(f"{corpus.url}/broken.jsonl").learnt]
    both += split(f"{corpus.url}/broken.jsonl").held_back
    found = read_prompts(both, side=32)
    assert found.number >= 3 and len(found.faults) == 3
    said = "\n".join(found.faults)
    for text in ("'missing'", "does not exist", "garbage.mp4 is not a video", "'beyond'"):
        assert text in said


def test_without_any_readable_prompt_the_first_fault_is_the_reason(corpus: Corpus) -> None:
    with pytest.raises(InvalidInput, match="none of 2 prompted frames can be used: video 'beyond'"):
        read_prompts(split(f"{corpus.url}/broken.jsonl").learnt, side=32)


def scene(folder: Path, labels: np.ndarray) -> Split:
    """One picture with these labels."""
    (folder / "video").mkdir()
    write(folder / "video/0.png", picture(1, *labels.shape))
    (folder / "mask.png").write_bytes(png(labels))
    row = {"video_id": "v", "video_uri": "video", "mask_uri": "mask.png", "mask_frame": 0}
    return split(str(write_rows(folder / "m.jsonl", (row,))))


def test_small_objects_are_seen_at_their_scale_alone(tmp_path: Path) -> None:
    """Two small ones beside each other share a crop, a distant one has its own; the large one is background there."""
    labels = np.zeros((400, 600), np.uint8)
    labels[50:250, 50:250] = 1
    labels[300:310, 400:408], labels[315:325, 420:426], labels[20:28, 560:570] = 7, 8, 9
    labels[:4] = VOID
    found = read_prompts(scene(tmp_path, labels).learnt, side=64)
    (whole,) = found.whole
    assert whole.labels.shape == (128, 192) and whole.object_ids() == [1]
    one, two = found.crops
    assert one.labels.shape == two.labels.shape == (64, 64)
    assert (one.object_ids(), two.object_ids()) == ([2, 3], [4])
    assert np.count_nonzero(one.labels == 2) == 80 and np.count_nonzero(two.labels == VOID) == 4 * 64
    assert found.objects == 4 and len(found.cutouts) == 1


def test_large_pictures_are_made_as_small_as_the_network_sees_them(tmp_path: Path) -> None:
    labels = np.zeros((864, 1728), np.uint8)
    labels[100:130, 800:830] = 5
    (crop,) = read_prompts(scene(tmp_path, labels).learnt, side=64).crops
    assert crop.labels.shape == (64, 64) and np.count_nonzero(crop.labels) == pytest.approx(15 * 15, abs=30)


def test_specks_are_not_learnt_from(tmp_path: Path) -> None:
    labels = np.zeros((300, 300), np.uint8)
    labels[10:13, 10:15] = 1
    with pytest.raises(InvalidInput, match="no object has 16 pixels"):
        read_prompts(scene(tmp_path, labels).learnt, side=64)


def test_ids_of_any_size_are_learnt_from(tmp_path: Path) -> None:
    parts = scene(tmp_path, np.zeros((300, 300), np.uint8))
    labels = np.zeros((300, 300), np.uint16)
    labels[50:150, 50:150] = 4000
    (tmp_path / "mask.png").write_bytes(cv2.imencode(".png", labels)[1].tobytes())
    (whole,) = read_prompts(parts.learnt, side=64).whole
    assert whole.object_ids() == [1]
