"""`vos-batch adapt`: weights of a corpus's own prompts, a verdict on others of them, and the same after a kill."""

import os
import uuid
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from jobs import adapt
from jobs.cli import app
from jobs.training.validation import Score, Validation
from model.network import AFBURR
from pipeline.input.weights import load_network, read_card
from pipeline.storage.store import Store
from tests.jobs.training.killed import Killed, kill_at_clip
from tests.pipeline.corpus import Corpus, copy_corpus, write_rows

SIZES = ("--init", "untrained", "--side", "32", "--precision", "fp32")


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit-equal weights are promised for one machine; here also where a GPU would choose among algorithms."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def call(manifest: object, output: object, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["adapt", str(manifest), str(output), *SIZES, *arguments], env={"COLUMNS": "200"})


def score_as(monkeypatch: pytest.MonkeyPatch, *scores: tuple[float, ...]) -> None:
    """By video: first of the weights before, then of those after."""
    given = iter(scores)

    def scored(_self: Validation, _network: AFBURR) -> Score:
        return Score(J=0.5, F=0.5, by_video=next(given), sheet=np.zeros((8, 8, 3), np.uint8))

    monkeypatch.setattr(Validation, "score", scored)


def weights(output: object) -> torch.Tensor:
    return torch.cat([value.flatten() for value in load_network(str(output)).state_dict().values()])


def test_weights_a_card_and_a_verdict(corpus: Corpus, tmp_path: Path) -> None:
    output = tmp_path / "ours.safetensors"
    result = call(corpus.manifest, output, "--steps", "2")
    assert result.exit_code == 0, result.output
    assert "learnt from: 4 prompted frames of" in result.output and "held back: 1 prompted frames of" in result.output
    assert "not better, keep untrained" in result.output or "better, use it" in result.output
    card = read_card(str(output))
    assert (card["corpus"], card["steps"]) == ("manifest", "2")
    assert card["init"].startswith("untrained (") and "4 prompted frames of" in card["prompts"]
    assert "than untrained: J&F 0." in card["verdict"] and "16 composed clips of 8 frames of 1 held" in card["verdict"]
    assert not any(str(path) in str(card) for path in (tmp_path, corpus.folder))
    assert not torch.equal(weights(output), weights("untrained"))


def test_segment_takes_them(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    score_as(monkeypatch, (0.5, 0.6), (0.7, 0.81))
    output = tmp_path / "ours.safetensors"
    assert "better, use it: vos-batch segment" in call(corpus.manifest, output, "--steps", "1").output
    arguments = ["segment", corpus.manifest, str(tmp_path / "masks"), "--checkpoint", str(output), "--min-side", "0"]
    assert CliRunner().invoke(app, arguments).exit_code == 0


@pytest.mark.parametrize(
    ("after", "is_better"), [((0.6, 0.71), True), ((0.9, 0.6), False), ((0.5, 0.6), False), ((0.4, 0.5), False)]
)
def test_only_a_gain_beyond_two_standard_errors_is_better(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: tuple[float, ...], is_better: bool
) -> None:
    score_as(monkeypatch, (0.5, 0.6), after)
    output = tmp_path / "ours.safetensors"
    result = call(corpus.manifest, output, "--steps", "1")
    assert ("better, use it" in result.output) == is_better
    assert ("not better, keep untrained" in result.output) == (not is_better)
    assert read_card(str(output))["verdict"].startswith("better than" if is_better else "not better than")
    assert f"{np.mean(after) - 0.55:+.3f}" in result.output


def test_killed_it_goes_on_to_the_same_weights(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    score_as(monkeypatch, *[(0.5, 0.6)] * 4)
    monkeypatch.setattr(adapt, "_SAVE_EVERY", 2)
    whole, killed = tmp_path / "whole.safetensors", tmp_path / "killed.safetensors"
    arguments = ("--steps", "4")
    assert call(corpus.manifest, whole, *arguments).exit_code == 0
    with monkeypatch.context() as patched:
        kill_at_clip(patched, 4 * 3)
        with pytest.raises(Killed):
            call(corpus.manifest, killed, *arguments)
    assert not killed.exists()
    result = call(corpus.manifest, killed, *arguments)
    assert "going on from step 2" in result.output
    assert torch.equal(weights(whole), weights(killed))
    assert read_card(str(whole)) == read_card(str(killed))


def test_another_call_begins_anew(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    score_as(monkeypatch, *[(0.5, 0.6)] * 6)
    output = tmp_path / "ours.safetensors"
    for steps in ("1", "2"):
        assert "going on" not in call(corpus.manifest, output, "--steps", steps).output
    assert "going on from step 2" in call(corpus.manifest, output, "--steps", "2").output


def test_a_changed_mask_begins_anew(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    score_as(monkeypatch, *[(0.5, 0.6)] * 4)
    there = copy_corpus(corpus.folder, str(tmp_path / "copy"))
    for _ in range(2):
        assert "going on" not in call(there.manifest, tmp_path / "o.safetensors", "--steps", "1").output
        there.change_mask("walk-0.png")


def test_one_prompt_suffices_and_it_is_said_that_it_decides_too(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score_as(monkeypatch, (0.5, 0.6), (0.5, 0.6))
    row = {"video_id": "walk", "video_uri": "walk.mp4", "mask_uri": "walk-0.png", "mask_frame": 0}
    one = write_rows(corpus.folder / "one.jsonl", (row,))
    result = call(one, tmp_path / "o.safetensors", "--steps", "1")
    assert result.exit_code == 0, result.output
    assert "one prompted frame: it is learnt from and decides, for there is no other" in result.output


def test_rows_at_fault_are_named_and_the_others_learnt_from(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score_as(monkeypatch, (0.5, 0.6), (0.5, 0.6))
    text = (corpus.folder / "manifest.jsonl").read_text() + (corpus.folder / "broken.jsonl").read_text()
    (corpus.folder / "both.jsonl").write_text(text)
    result = call(corpus.folder / "both.jsonl", tmp_path / "o.safetensors", "--steps", "1")
    assert result.exit_code == 0, result.output
    assert result.output.count("left out: video '") == 3


def test_any_store_will_do(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    score_as(monkeypatch, (0.5, 0.6), (0.5, 0.6))
    url = f"memory://{uuid.uuid4().hex}"
    there = copy_corpus(corpus.folder, url)
    result = call(there.manifest, f"{url}/out/ours.safetensors", "--steps", "1")
    assert result.exit_code == 0, result.output
    assert {entry.name for entry in Store(f"{url}/out").list()} > {"ours.safetensors"}
    assert url not in str(read_card(f"{url}/out/ours.safetensors"))


@pytest.mark.parametrize(
    ("manifest", "output", "message"),
    [
        ("manifest.jsonl", "ours.pth", "ours.pth: weights are a file that ends in .safetensors"),
        ("none.jsonl", "ours.safetensors", "none.jsonl: no such manifest"),
        ("broken.jsonl", "ours.safetensors", "prompted frames can be used"),
    ],
)
def test_what_cannot_be_done_is_said(corpus: Corpus, tmp_path: Path, manifest: str, output: str, message: str) -> None:
    result = call(corpus.folder / manifest, tmp_path / output, "--steps", "1")
    assert result.exit_code == 2 and message in result.output
    assert not os.path.exists(tmp_path / output)
