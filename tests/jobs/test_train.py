"""`vos-batch train`: it learns from what it is given, and a killed training goes on to the same weights."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from jobs import train as train_module
from jobs.train import app
from jobs.training.compose import Composition, draw_clip
from model.checkpoint import from_bytes, read_card
from model.network import untrained
from model.synthetic import Clip
from pipeline.storage import Store
from tests.jobs.training.material import trainable, write_sequence, write_stills

SIZES = ("--batch", "2", "--frames", "2", "--side", "32", "--precision", "fp32", "--init", "untrained")


@pytest.fixture(scope="module")
def stills(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_stills(tmp_path_factory.mktemp("stills"), trainable(3)))


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


def weights(output: Path) -> dict[str, torch.Tensor]:
    return from_bytes((output / "last.safetensors").read_bytes(), "last").state_dict()


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

    monkeypatch.setattr(train_module, "draw_clip", watched)
    return seen


def test_two_steps_give_weights_a_state_and_a_card(stills: str, tmp_path: Path) -> None:
    result = call(tmp_path / "out", "--stills", stills, "--steps", "2", "--data-note", "three boxes, CC0")
    assert result.exit_code == 0, result.output
    assert f"vos-batch demo --checkpoint {tmp_path}/out/last.safetensors" in result.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"last.safetensors", "state.pt", "log.jsonl"}
    card = read_card((tmp_path / "out/last.safetensors").read_bytes(), "last")
    assert (card["steps"], card["data"], card["init"]) == ("2", "three boxes, CC0", "untrained")
    assert card["recipe"] == "2 clips of 2 frames at 32 px, fp32"
    start = untrained().state_dict()
    found = weights(tmp_path / "out")
    assert all(bool(torch.isfinite(value).all()) for value in found.values())
    assert not torch.equal(found["decoder.pred.bias"], start["decoder.pred.bias"])


def test_a_killed_training_goes_on_to_the_same_weights(
    stills: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("--stills", stills, "--steps", "4", "--save-every", "2")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert call(whole, *arguments).exit_code == 0
    with monkeypatch.context() as patched:
        kill_at_clip(patched, 7)  # in the fourth step, of two clips each
        assert isinstance(call(killed, *arguments).exception, Killed)
    assert read_card((killed / "last.safetensors").read_bytes(), "last")["steps"] == "2"
    assert not equal(weights(whole), weights(killed))
    result = call(killed, *arguments)
    assert result.exit_code == 0 and "going on from step 2" in result.stdout
    assert equal(weights(whole), weights(killed))


class Killed(Exception):
    """Stands for the end of the process."""


def kill_at_clip(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Counted from 0."""
    left = iter(range(number))

    def draw(rng: np.random.Generator, composition: Composition) -> Clip:
        if next(left, None) is None:
            raise Killed
        return draw_clip(rng, composition)

    monkeypatch.setattr(train_module, "draw_clip", draw)


def test_a_state_is_never_newer_than_its_weights(stills: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the two files: the older state goes on, and the end is the same."""
    arguments = ("--stills", stills, "--steps", "2", "--save-every", "1")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert call(whole, *arguments).exit_code == 0
    with monkeypatch.context() as patched:
        kill_at_write(patched, "state.pt", 2)
        assert isinstance(call(killed, *arguments).exception, Killed)
    assert read_card((killed / "last.safetensors").read_bytes(), "last")["steps"] == "2"
    result = call(killed, *arguments)
    assert "going on from step 1" in result.stdout
    assert equal(weights(whole), weights(killed))


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
    monkeypatch.setattr(train_module, "_SMOOTHED", 1)
    arguments = ("--stills", stills, "--steps", "4", "--save-every", "2")
    with monkeypatch.context() as patched:
        kill_at_clip(patched, 7)
        call(tmp_path / "out", *arguments)
    result = call(tmp_path / "out", *arguments)
    lines = [json.loads(line) for line in (tmp_path / "out/log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert all(line["total"] > line["cross_entropy"] > 0 and line["seconds_per_step"] > 0 for line in lines)
    assert "step 3: total " in result.stdout and "step 2: total " not in result.stdout


@pytest.mark.parametrize("listed", [False, True])
def test_sequences_are_mixed_in_by_their_share(
    stills: str, davis: str, tmp_path: Path, compositions: list[Composition], listed: bool
) -> None:
    (tmp_path / "set.txt").write_text("dogs\n")
    named = ("--set", str(tmp_path / "set.txt")) if listed else ()
    arguments = ("--stills", stills, "--davis", davis, "--resolution", "480p", "--video-share", "0.25", *named)
    result = call(tmp_path / "out", *arguments, "--steps", "1", "--max-objects", "2")
    assert result.exit_code == 0, result.output
    used = compositions[0]
    assert (list(used.shares), used.frames, used.side, used.max_objects) == ([0.75, 0.25], 2, 32, 2)
    assert len(used.cutouts) == 3
    footage = used.sources[1].draw(np.random.default_rng(0), 2, 32, 1.0)
    assert len(footage.frames) == 2


def test_held_back_stills_are_never_cut_from(tmp_path: Path, compositions: list[Composition]) -> None:
    names = [f"still{number}" for number in range(40)]
    folder = write_stills(tmp_path / "stills", names)
    assert call(tmp_path / "out", "--stills", str(folder), "--steps", "1").exit_code == 0
    used = {one.name.removesuffix(".jpg") for one in compositions[0].cutouts}
    assert used == set(trainable(40)) & set(names) and 25 <= len(used) < 40


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give at least one --stills folder"),
        (("--stills", "{tmp}/nothing"), "no pictures in"),
        (("--stills", "{stills}", "--davis", "{davis}", "--set", "{tmp}/set.txt"), "no masks in"),
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
