"""`vos-batch train`: it learns from what it is given, and a killed training goes on to the same weights."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from jobs.train import app
from jobs.training import curriculum, reports, settings
from jobs.training.compose import Composition, draw_clip
from jobs.training.sources import MovedStills
from jobs.training.stills import Still
from jobs.training.validation import Score, Validation
from model.checkpoint import from_bytes, read_card
from model.clip import Clip
from model.network import AFBURR, untrained
from pipeline.storage.store import Store
from tests.jobs.material import held_back, still, trainable, write_sequence, write_stills
from tests.jobs.training.killed import Killed, kill_at_clip

ROOT = Path(__file__).parents[2]
FOUR_STEPS = ("--steps", "4", "--save-every", "2", "--validate-every", "3")
"""Saves after 2, 3 and 4, scores after 3 and 4."""
SIZES = ("--batch", "2", "--frames", "2", "--side", "32", "--precision", "fp32", "--init", "untrained")


@pytest.fixture(scope="module")
def stills(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_stills(tmp_path_factory.mktemp("stills"), trainable(3)))


@pytest.fixture(scope="module")
def validated(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Stills of which two are held back."""
    return str(write_stills(tmp_path_factory.mktemp("validated"), [*trainable(3), *held_back(2)]))


@pytest.fixture(scope="module")
def davis(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("davis")
    for name in ("dogs", "cats"):
        write_sequence(root, name, 4, level="480p")
    return str(root)


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit-equal weights are promised for one machine; here also where a GPU would choose among algorithms."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def call(output: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, [str(output), *SIZES, *arguments], env={"COLUMNS": "200"})


def weights(output: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return from_bytes((output / f"{name}.safetensors").read_bytes(), name).state_dict()


def card(output: Path, name: str = "last") -> dict[str, str]:
    return read_card((output / f"{name}.safetensors").read_bytes(), name)


def log(output: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def compositions(monkeypatch: pytest.MonkeyPatch) -> list[Composition]:
    """What the clips were drawn from, draw by draw."""
    seen: list[Composition] = []
    draw: Callable[..., Clip] = draw_clip

    def watched(rng: np.random.Generator, composition: Composition) -> Clip:
        seen.append(composition)
        return draw(rng, composition)

    monkeypatch.setattr(curriculum, "draw_clip", watched)
    return seen


def test_two_steps_give_weights_a_state_and_a_card(stills: str, tmp_path: Path) -> None:
    result = call(
        tmp_path / "out", "--stills", stills, "--steps", "2", "--data-note", "three boxes", "--licence", "CC0"
    )
    assert result.exit_code == 0, result.output
    assert f"vos-batch demo --checkpoint {tmp_path}/out/last.safetensors" in result.stdout
    assert "hold no picture back" in result.stdout
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written - {"events"} == {"last.safetensors", "state.pt", "log.jsonl"}
    found = card(tmp_path / "out")
    assert (found["steps"], found["data"], found["licence"], found["init"]) == ("2", "three boxes", "CC0", "untrained")
    assert (found["preset"], found["stage"], found["seed"]) == ("lite0", "pretrain", "0")
    assert found["recipe"].startswith("2 clips of 2 frames at 32 px") and found["code_version"]
    assert found["loss"] == f"{log(tmp_path / 'out')[-1]['total']:.4f}, mean of 2 steps"
    assert "validation" not in found
    start = untrained().state_dict()
    moved = weights(tmp_path / "out")
    assert all(bool(torch.isfinite(value).all()) for value in moved.values())
    assert not torch.equal(moved["decoder.pred.bias"], start["decoder.pred.bias"])


def test_a_checkpoint_to_start_from_is_named_without_its_folder(stills: str, tmp_path: Path) -> None:
    assert call(tmp_path / "first", "--stills", stills, "--steps", "1").exit_code == 0
    first = tmp_path / "first/last.safetensors"
    assert call(tmp_path / "second", "--stills", stills, "--steps", "1", "--init", str(first)).exit_code == 0
    assert card(tmp_path / "second")["init"] == "last.safetensors"


def test_held_back_stills_validate_the_training(validated: str, tmp_path: Path) -> None:
    result = call(tmp_path / "out", "--stills", validated, "--steps", "3", "--validate-every", "2")
    assert result.exit_code == 0, result.output
    scored = {line["step"]: line["J_and_F"] for line in log(tmp_path / "out") if "J_and_F" in line}
    assert list(scored) == [2, 3] and all(0 <= value <= 1 for value in scored.values())
    assert f"step 2: J&F {scored[2]:.3f}" in result.stdout
    last, best = card(tmp_path / "out"), card(tmp_path / "out", "best")
    assert last["validation"].startswith(f"J&F {scored[3]:.4f} ")
    assert "at step 3 on 6 composed clips of 12 frames of held-back stills at 32 px" in last["validation"]
    winner = max(scored, key=lambda step: scored[step])
    assert best["steps"] == str(winner) and best["validation"].startswith(f"J&F {scored[winner]:.4f} ")


def test_the_best_is_kept_when_later_ones_are_worse(
    validated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by the run that goes on: it knows how good the best was."""
    arguments = ("--stills", validated, "--steps", "4", "--validate-every", "1")
    with monkeypatch.context() as patched:
        score_as(patched, [0.3, 0.7, 0.5])
        kill_at_clip(patched, 6)
        with pytest.raises(Killed):
            call(tmp_path / "out", *arguments)
    assert card(tmp_path / "out")["steps"] == "3"
    score_as(monkeypatch, [0.6])
    assert call(tmp_path / "out", *arguments).exit_code == 0
    assert (card(tmp_path / "out", "best")["steps"], card(tmp_path / "out")["steps"]) == ("2", "4")
    assert [line["J_and_F"] for line in log(tmp_path / "out") if "J_and_F" in line] == [0.3, 0.7, 0.5, 0.6]


def score_as(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> None:
    given = iter(values)

    def scored(_self: Validation, _network: AFBURR) -> Score:
        value = next(given)
        return Score(J=value, F=value, by_video=(value,), sheet=np.zeros((8, 8, 3), np.uint8))

    monkeypatch.setattr(Validation, "score", scored)


def test_sequences_validate_the_training_where_they_are_given(stills: str, davis: str, tmp_path: Path) -> None:
    (tmp_path / "set.txt").write_text("dogs\n")
    arguments = ("--validate", davis, "--validate-resolution", "480p", "--validate-set", str(tmp_path / "set.txt"))
    result = call(tmp_path / "out", "--stills", stills, "--steps", "1", *arguments)
    assert result.exit_code == 0, result.output
    assert card(tmp_path / "out")["validation"].endswith("at step 1 on 1 sequences (dogs)")


def test_a_killed_training_goes_on_to_the_same_weights(
    stills: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("--stills", stills, "--steps", "4", "--save-every", "2")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert call(whole, *arguments).exit_code == 0
    with monkeypatch.context() as patched:
        kill_at_clip(patched, 7)  # in the fourth step, of two clips each
        with pytest.raises(Killed):
            call(killed, *arguments)
    assert card(killed)["steps"] == "2"
    assert not equal(weights(whole), weights(killed))
    result = call(killed, *arguments)
    assert result.exit_code == 0 and "going on from step 2" in result.stdout
    assert equal(weights(whole), weights(killed))


@pytest.fixture(scope="module")
def whole(validated: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What four steps write that nobody killed."""
    output = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(torch.cuda, "is_available", lambda: False)
        assert call(output, "--stills", validated, *FOUR_STEPS).exit_code == 0
    return output


@pytest.mark.slow
@pytest.mark.parametrize("name", ["state.pt", "last.safetensors"])
def test_killed_between_two_files_it_goes_on_to_the_same_ones(
    validated: str, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The state comes last: the older one goes on, and makes again what is there already."""
    arguments, killed = ("--stills", validated, *FOUR_STEPS), tmp_path / "killed"
    with monkeypatch.context() as patched:
        kill_at_write(patched, name, 2)
        with pytest.raises(Killed):
            call(killed, *arguments)
    result = call(killed, *arguments)
    assert "going on from step 2" in result.stdout
    assert_same_checkpoints(whole, killed)


def assert_same_checkpoints(one: Path, other: Path) -> None:
    for name in ("last", "best"):
        assert equal(weights(one, name), weights(other, name))
        assert card(one, name) == card(other, name)


@pytest.mark.slow
def test_a_killed_process_goes_on_to_the_same_weights(validated: str, whole: Path, tmp_path: Path) -> None:
    arguments, killed = ("--stills", validated, *FOUR_STEPS), tmp_path / "killed"
    process = start(killed, *arguments)
    wait_for(killed / "state.pt", process)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert torch.load(killed / "state.pt", weights_only=True)["trainer"]["step"] < 4
    assert start(killed, *arguments).wait(timeout=120) == 0
    assert_same_checkpoints(whole, killed)
    assert [line["step"] for line in log(killed)] == [line["step"] for line in log(whole)] == [3, 4, 4]


def start(output: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A process of its own, on the CPU and with one thread like this one."""
    call = [sys.executable, "-m", "jobs.train", str(output), *SIZES, *arguments]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(call, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    while not path.exists():
        assert process.poll() is None, "it ended before it saved"
        time.sleep(0.01)


def kill_at_write(monkeypatch: pytest.MonkeyPatch, name: str, time: int) -> None:
    """At this write of a file, counted from 1."""
    put, left = Store.put, iter(range(time - 1))

    def killing(self: Any, file: str, data: bytes) -> None:
        if file == name and next(left, None) is None:
            raise Killed
        put(self, file, data)

    monkeypatch.setattr(Store, "put", killing)


def test_a_finished_training_does_no_further_step(stills: str, tmp_path: Path, compositions: list[Composition]) -> None:
    arguments = ("--stills", stills, "--steps", "1")
    assert call(tmp_path / "out", *arguments).exit_code == 0
    before, drawn = weights(tmp_path / "out"), len(compositions)
    assert call(tmp_path / "out", *arguments).exit_code == 0
    assert equal(before, weights(tmp_path / "out")) and len(compositions) == drawn == 2


def test_the_seed_decides(stills: str, tmp_path: Path) -> None:
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert call(tmp_path / name, "--stills", stills, "--steps", "1", "--seed", seed).exit_code == 0
    assert equal(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not equal(weights(tmp_path / "a"), weights(tmp_path / "c"))


def test_the_log_goes_on_without_gaps_or_repeats(stills: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "LINE_EVERY", 1)
    arguments = ("--stills", stills, "--steps", "4", "--save-every", "2")
    with monkeypatch.context() as patched:
        kill_at_clip(patched, 7)
        with pytest.raises(Killed):
            call(tmp_path / "out", *arguments)
    result = call(tmp_path / "out", *arguments)
    lines = log(tmp_path / "out")
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert all(line["total"] > line["cross_entropy"] > 0 and line["seconds_per_step"] > 0 for line in lines)
    assert "step 3 of 4: total " in result.stdout and "step 2 of 4: total " not in result.stdout


@pytest.mark.parametrize("listed", [False, True])
def test_sequences_are_mixed_in_by_their_share(
    stills: str, davis: str, tmp_path: Path, compositions: list[Composition], listed: bool
) -> None:
    (tmp_path / "set.txt").write_text("dogs\n")
    named = ("--set", str(tmp_path / "set.txt")) if listed else ()
    arguments = ("--stills", stills, "--davis", davis, "--resolution", "480p", "--video-share", "0.25", *named)
    result = call(tmp_path / "out", *arguments, "--steps", "1", "--max-objects", "2")
    assert result.exit_code == 0, result.output
    assert card(tmp_path / "out")["stage"] == "video"
    used = compositions[0]
    assert (list(used.shares), used.frames, used.side, used.max_objects) == ([0.75, 0.25], 2, 32, 2)
    assert len(used.cutouts) == 3
    footage = used.sources[1].draw(np.random.default_rng(0), 2, 32, 1.0)
    assert len(footage.frames) == 2


def test_things_get_faster_and_clips_longer(stills: str, tmp_path: Path, compositions: list[Composition]) -> None:
    result = call(tmp_path / "out", "--stills", stills, "--steps", "4", "--last-frames", "3", "--max-speed", "3")
    assert result.exit_code == 0, result.output
    seen = [(composition.speed, composition.frames) for composition in compositions[::2]]
    assert seen == [(1.0, 2), (1.5, 2), (2.0, 2), (2.5, 3)]
    assert "2 clips of 2, at last 3, frames" in card(tmp_path / "out")["recipe"]


def test_coco_stills_and_masks_of_a_run_are_mixed_in(
    stills: str, davis: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compositions: list[Composition]
) -> None:
    """Their readers have tests of their own."""
    asked: list[tuple[str, str]] = []

    def coco(images: str, annotations: str) -> list[Still]:
        asked.append((images, annotations))
        return [still(1)]

    def recorded(output: str, manifest: str) -> MovedStills:
        asked.append((output, manifest))
        return MovedStills([still(2)])

    monkeypatch.setattr(settings, "read_coco", coco)
    monkeypatch.setattr(settings, "RunSequences", recorded)
    more = ("--coco", "memory://pictures", "memory://a.json", "--run", "memory://out", "memory://m.jsonl")
    videos = ("--davis", davis, "--resolution", "480p")
    result = call(tmp_path / "out", "--stills", stills, *more, *videos, "--steps", "1")
    assert result.exit_code == 0, result.output
    assert asked == [("memory://pictures", "memory://a.json"), ("memory://out", "memory://m.jsonl")]
    assert (list(compositions[0].shares), len(compositions[0].cutouts)) == ([0.5, 0.25, 0.25], 4)


def test_held_back_stills_are_never_cut_from(tmp_path: Path, compositions: list[Composition]) -> None:
    names = [f"still{number}" for number in range(40)]
    folder = write_stills(tmp_path / "stills", names)
    assert call(tmp_path / "out", "--stills", str(folder), "--steps", "1").exit_code == 0
    used = {one.name.removesuffix(".jpg") for one in compositions[0].cutouts}
    assert used == set(trainable(40)) & set(names) and 25 <= len(used) < 40


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give at least one --stills folder or --coco"),
        (("--stills", "{stills}", "--stage", "video"), "--stage video learns from sequences"),
        (("--stills", "{stills}", "--stage", "pretrain", "--davis", "{davis}"), "leave out --davis and --run"),
        (("--stills", "{stills}", "--davis", "{davis}", "--set", "{tmp}/gone.txt"), "gone.txt: no such file"),
        (("--stills", "{stills}", "--davis", "{davis}", "--resolution", "1080p"), "the resolutions 480p: choose one"),
        (("--stills", "{stills}", "--validate", "{tmp}/gone"), "gone has no JPEGImages with folders in it"),
        (("--stills", "{tmp}/nothing"), "no pictures in"),
        (("--stills", "{stills}", "--davis", "{davis}", "--set", "{tmp}/set.txt"), "lacks the folders frogs"),
        (("--stills", "{stills}", "--validate", "{davis}", "--validate-set", "{tmp}/set.txt"), "with --validate-set"),
        (("--stills", "{stills}", "--init", "{tmp}/gone.safetensors"), "gone.safetensors"),
    ],
)
def test_what_is_missing_is_named_and_exits_with_2(
    stills: str, davis: str, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "set.txt").write_text("frogs\n")
    filled = [argument.format(stills=stills, davis=davis, tmp=tmp_path) for argument in arguments]
    result = call(tmp_path / "out", *filled, "--steps", "1")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ") and said in result.stderr
    assert not (tmp_path / "out").exists()
