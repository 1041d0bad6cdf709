"""A published checkpoint becomes a file of ours that loads."""

import io
import json
import pickle
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from jobs.convert_checkpoint import app, convert
from model.checkpoint import fingerprint, our_name, read_card
from model.network import AFBURR, untrained
from pipeline.errors import InvalidCheckpoint
from pipeline.input.weights import load_network
from pipeline.storage.store import read_url

NAMES = Path(__file__).parents[1] / "golden" / "state_dict_names.json"


@pytest.fixture(scope="module")
def network() -> AFBURR:
    return untrained("resnet50")


@pytest.fixture(scope="module")
def published(network: AFBURR) -> dict[str, Tensor]:
    """The network's weights under the published code's names."""
    own = network.state_dict()
    return {name: own[our_name(name)] for name in published_names()}


def published_names() -> list[str]:
    return [entry["name"] for entry in json.loads(NAMES.read_text())]


def save(path: Path, content: object) -> str:
    torch.save(content, path)
    return str(path)


def test_values_and_names_survive(published: dict[str, Tensor], network: AFBURR, tmp_path: Path) -> None:
    official = save(tmp_path / "official.pth", {"epoch": 3, "model": published})
    target = f"memory://{uuid.uuid4().hex}/ours.safetensors"
    mark = convert(official, target)
    found = load_network(target)
    assert mark == fingerprint(found) == fingerprint(network)
    assert found.preset == "resnet50"
    card = read_card(read_url(target), target)
    assert (card["source"], card["fingerprint"]) == ("official.pth", mark)


def test_the_command_says_what_to_do_next(published: dict[str, Tensor], tmp_path: Path) -> None:
    official = save(tmp_path / "official.pth", {"model": published})
    target = str(tmp_path / "ours.safetensors")
    result = CliRunner().invoke(app, [official, target], catch_exceptions=False)
    assert result.exit_code == 0
    assert f"--checkpoint {target}" in result.output
    assert fingerprint(load_network(target)) in result.output


def _without_an_entry(state: dict[str, Tensor]) -> object:
    return {"model": dict(list(state.items())[1:])}


def _other_shape(state: dict[str, Tensor]) -> object:
    first = next(iter(state))
    return {"model": {**state, first: torch.zeros(1, 2)}}


def _of_something_else(state: dict[str, Tensor]) -> object:
    return {"state_dict": {}}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_without_an_entry, "missing: "),
        (_other_shape, r"shape of .*\(1, 2\) in the file"),
        (_of_something_else, "no published AFB-URR checkpoint"),
    ],
)
def test_what_does_not_fit_is_named(
    change: Callable[[dict[str, Tensor]], object], reason: str, published: dict[str, Tensor], tmp_path: Path
) -> None:
    official = save(tmp_path / "official.pth", change(published))
    with pytest.raises(InvalidCheckpoint, match=rf"official\.pth(?s:.*){reason}"):
        convert(official, str(tmp_path / "ours.safetensors"))
    assert not (tmp_path / "ours.safetensors").exists()


class Trap:
    """Leaves a file behind when it is unpickled by a careless reader."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("plain", [True, False], ids=["pickle", "torch"])
def test_nothing_in_the_file_is_executed(plain: bool, tmp_path: Path) -> None:
    content = {"model": Trap(tmp_path / "trapped")}
    buffer = io.BytesIO()
    if plain:
        pickle.dump(content, buffer, protocol=2)  # as torch does; it warns of others
    else:
        torch.save(content, buffer)
    (tmp_path / "evil.pth").write_bytes(buffer.getvalue())
    with pytest.raises(InvalidCheckpoint, match=r"evil\.pth"):
        convert(str(tmp_path / "evil.pth"), str(tmp_path / "ours.safetensors"))
    assert not (tmp_path / "trapped").exists()


def test_a_missing_file_exits_with_2(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [str(tmp_path / "gone.pth"), str(tmp_path / "ours.safetensors")])
    assert result.exit_code == 2 and "gone.pth" in result.output
