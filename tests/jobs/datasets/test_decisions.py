"""Decisions become prompts for what was decided, and nothing else; what fits nothing is named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.datasets.corrections import Corrected, correct
from jobs.datasets.decisions import Decision, read_decisions
from pipeline.errors import InvalidInput
from pipeline.input.manifest import VideoTask, read_manifest
from pipeline.input.prompts import load_prompts
from pipeline.output.labels import committed_videos
from tests.jobs.exports.outputs import FOLDER, UNICODE, Output, make_output

SIZE = (47, 61)


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Output:
    """`walk` and a video file, whose prompts are an object that no decision is on."""
    made = make_output(tmp_path_factory.mktemp("output"))
    rows = []
    for line in Path(made.manifest).read_text().splitlines():
        row = json.loads(line)
        del row["mask_uri"]
        frame = row.pop("mask_frame")
        row["prompts"] = [{"frame_index": frame, "objects": [{"object_id": 300, "box": [1, 1, 9, 9]}]}]
        rows.append(row)
    Path(made.manifest).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return made


def entry(output: Output, frame: int, object_id: int, decision: str, video: str = FOLDER) -> dict[str, Any]:
    identity = committed_videos(output.url)[video].identity
    return dict(video_id=video, identity=identity, frame_index=frame, object_id=object_id, decision=decision)


def save(folder: Path, entries: list[dict[str, Any]], looked_at: str = "out") -> Path:
    content = {"format": "vos-batch-decisions", "version": 1, "output": looked_at, "decisions": entries}
    (folder / "decisions.json").write_text(json.dumps(content))
    return folder / "decisions.json"


def corrected(
    output: Output, folder: Path, entries: list[dict[str, Any]], looked_at: str = "out"
) -> tuple[Corrected, dict[str, VideoTask]]:
    source, to = save(folder, entries, looked_at), folder / "new.jsonl"
    done = correct(output.manifest, str(source), str(to), layout="decisions", run=output.url)
    return done, {task.video_id: task for task in read_manifest(str(to))}


def test_what_is_accepted_is_a_prompt_with_the_mask_that_was_found(output: Output, tmp_path: Path) -> None:
    done, tasks = corrected(output, tmp_path, [entry(output, 3, 1, "accept"), entry(output, 3, 3, "accept")])
    assert done == Corrected(videos=1, frames=1, objects=2, unchanged=0)
    prompt = load_prompts(tasks[FOLDER], *SIZE)[3]
    assert prompt.object_ids == (1, 3)
    assert np.array_equal(prompt.labels == 1, output.truth[FOLDER, 3, 1])
    assert np.array_equal(prompt.labels == 3, output.truth[FOLDER, 3, 3])
    assert tasks[FOLDER].metadata["corrections"] == [{"frame_index": 3, "object_ids": [1, 3]}]


def test_what_is_rejected_is_said_to_be_gone_and_nothing_is_said_of_others(output: Output, tmp_path: Path) -> None:
    _, tasks = corrected(output, tmp_path, [entry(output, 5, 300, "reject")])
    prompt = load_prompts(tasks[FOLDER], *SIZE)[5]
    assert prompt.object_ids == (300,)
    assert not prompt.labels.any()


def test_what_is_unsure_says_nothing_and_is_counted(output: Output, tmp_path: Path) -> None:
    """So is an empty mask that is rejected: the object is there, but who knows where."""
    decisions = [entry(output, 2, 1, "accept"), entry(output, 4, 1, "unsure"), entry(output, 3, 300, "reject")]
    done, tasks = corrected(output, tmp_path, decisions)
    assert (done.frames, done.objects, done.to_draw) == (1, 1, 2)
    assert [prompt.frame_index for prompt in tasks[FOLDER].prompts] == [0, 2]


def test_an_object_that_was_not_found_is_accepted_as_gone(output: Output, tmp_path: Path) -> None:
    _, tasks = corrected(output, tmp_path, [entry(output, 3, 300, "accept")])
    prompt = load_prompts(tasks[FOLDER], *SIZE)[3]
    assert (prompt.object_ids, prompt.labels.any()) == ((300,), False)


def test_a_decision_replaces_what_a_prompt_of_its_frame_says(output: Output, tmp_path: Path) -> None:
    _, tasks = corrected(output, tmp_path, [entry(output, 0, 300, "accept")])
    (prompt,) = tasks[FOLDER].prompts
    assert (prompt.frame_index, prompt.has_boxes) == (0, False)


def test_videos_without_decisions_stay_as_they_were(output: Output, tmp_path: Path) -> None:
    before = {task.video_id: task for task in read_manifest(output.manifest)}
    done, tasks = corrected(output, tmp_path, [entry(output, 3, 1, "accept", UNICODE)])
    assert done.videos == 1
    assert tasks[FOLDER] == before[FOLDER]
    assert [prompt.frame_index for prompt in tasks[UNICODE].prompts] == [2, 3]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"video_id": "stranger"}, r"out has no video 'stranger'; give the output that was looked at with --run"),
        ({"identity": "b" * 32}, r"video 'walk' was segmented again after its masks were looked at; make a new report"),
        ({"frame_index": 9}, r"video 'walk' has no object 1 on frame 9 in .*out, where its objects are 1, 3, 300"),
        ({"object_id": 9}, r"video 'walk' has no object 9 on frame 3 in .*; take this decision out"),
        ({"object_id": True}, r"decisions\[1\]: object_id is true, expected int; save it again"),
        ({"video_id": None}, r"decisions\[1\]: video_id is null, expected str"),
        ({"decision": "maybe"}, r"decisions\[1\]: decision is 'maybe', expected one of accept, reject, unsure"),
    ],
)
def test_what_fits_nothing_is_named(output: Output, tmp_path: Path, change: dict[str, Any], said: str) -> None:
    good = entry(output, 2, 1, "accept", UNICODE)
    with pytest.raises(InvalidInput, match=said):
        corrected(output, tmp_path, [good, entry(output, 3, 1, "accept") | change])
    assert not (tmp_path / "new.jsonl").exists()


@pytest.mark.parametrize("change", [{"identity": "c" * 32}, {"video_id": "elsewhere"}])
def test_decisions_of_another_output_are_refused(output: Output, tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(
        InvalidInput, match=r"none of its decisions is on a result in .*; they are on an output named 'b'"
    ):
        corrected(output, tmp_path, [entry(output, 3, 1, "accept") | change], looked_at="b")


def test_decisions_of_an_output_that_is_none(output: Output, tmp_path: Path) -> None:
    source = save(tmp_path, [entry(output, 3, 1, "accept")])
    with pytest.raises(InvalidInput, match="needs --run OUTPUT"):
        correct(output.manifest, str(source), str(tmp_path / "new.jsonl"), layout="decisions")


def test_a_manifest_without_the_video_is_refused(output: Output, tmp_path: Path) -> None:
    lines = Path(output.manifest).read_text().splitlines()
    other = Path(output.manifest).with_name("other.jsonl")
    other.write_text(next(line for line in lines if FOLDER not in json.loads(line)["video_id"]))
    source = save(tmp_path, [entry(output, 3, 1, "accept")])
    with pytest.raises(InvalidInput, match=f"the manifest has no video '{FOLDER}'"):
        correct(str(other), str(source), str(tmp_path / "new.jsonl"), layout="decisions", run=output.url)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("accept all", "is no JSON .*; name the file that the review page saved"),
        ("[]", 'is no file of decisions .its "format" is not vos-batch-decisions'),
        ('{"format": "vos-batch-decisions", "version": 2}', "has version 2 of the format, this vos-batch reads 1: "),
        ('{"format": "vos-batch-decisions", "version": 1}', 'its "decisions" are no list; save it again'),
        ('{"format": "vos-batch-decisions", "version": 1, "decisions": [7]}', r"decisions\[0\] is 7, no decision"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "decisions.json").write_text(text)
    with pytest.raises(InvalidInput, match=said):
        read_decisions(str(tmp_path / "decisions.json"))


def test_a_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no such file; name the file that the review page saved"):
        read_decisions(str(tmp_path / "decisions.json"))


def test_decisions_that_say_nothing_are_refused(output: Output, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="all are unsure, or rejected where nothing was found; draw these anew"):
        corrected(output, tmp_path, [entry(output, 3, 1, "unsure")])
    with pytest.raises(InvalidInput, match="holds no correction"):
        corrected(output, tmp_path, [])


def test_nobody_decides_twice(output: Output, tmp_path: Path) -> None:
    both = [entry(output, 3, 1, "accept"), entry(output, 3, 1, "reject")]
    with pytest.raises(InvalidInput, match="decides twice on video 'walk', frame 3, object 1; keep one of them"):
        corrected(output, tmp_path, both)


_NUMBERS = st.integers(0, 2**31 - 1)


@given(
    found=st.lists(
        st.builds(
            Decision,
            video_id=st.text(min_size=1).filter(lambda text: text.isprintable()),
            identity=st.text("0123456789abcdef", min_size=1),
            frame_index=_NUMBERS,
            object_id=_NUMBERS,
            decision=st.sampled_from(["accept", "reject", "unsure"]),
        ),
        unique_by=lambda one: (one.video_id, one.frame_index, one.object_id),
    )
)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, found: list[Decision]) -> None:
    folder = tmp_path_factory.mktemp("decisions")
    assert list(read_decisions(str(save(folder, [vars(one) for one in found]))).decisions) == found
