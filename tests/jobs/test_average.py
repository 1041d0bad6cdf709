"""`vos-batch average`: weights that load like any other, and a card that tells what is in them."""

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from jobs.cli import app
from model.checkpoint import fingerprint, to_bytes
from model.network import untrained
from pipeline.input.weights import load_network, read_card


@pytest.fixture
def parts(tmp_path: Path) -> list[str]:
    for seed in (1, 2):
        card = {"licence": "open", "data": f"corpus {seed}"}
        (tmp_path / f"{seed}.safetensors").write_bytes(to_bytes(untrained(seed=seed), card))
    return [str(tmp_path / f"{seed}.safetensors") for seed in (1, 2)]


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["average", *arguments])


def bias(weights: str) -> torch.Tensor:
    return load_network(weights).state_dict()["key_value.key.weight"]


def test_the_card_tells_the_mixture_and_keeps_licences(parts: list[str], tmp_path: Path) -> None:
    output = str(tmp_path / "out.safetensors")
    result = call(*parts, "untrained", output, "--share", "2", "--share", "1", "--share", "1")
    assert result.exit_code == 0, result.output
    assert f"segment MANIFEST OUTPUT --checkpoint {output}" in result.output
    expected = 0.5 * bias(parts[0]) + 0.25 * bias(parts[1]) + 0.25 * bias("untrained")
    torch.testing.assert_close(bias(output), expected)
    one, two = (fingerprint(load_network(part)) for part in parts)
    card = read_card(output)
    assert card["mixture"].startswith(f"0.500 of 1.safetensors ({one}), 0.250 of 2.safetensors ({two}), 0.250 of untra")
    assert (card["licence"], card["data"]) == ("open", "corpus 1; corpus 2")
    assert str(tmp_path) not in str(card)


def test_without_shares_all_count_the_same_and_half_halves_the_file(parts: list[str], tmp_path: Path) -> None:
    whole, half = str(tmp_path / "whole.safetensors"), str(tmp_path / "half.safetensors")
    assert call(*parts, whole).exit_code == call(*parts, half, "--half").exit_code == 0
    torch.testing.assert_close(bias(whole), (bias(parts[0]) + bias(parts[1])) / 2)
    torch.testing.assert_close(bias(half), bias(whole), atol=1e-3, rtol=1e-3)
    assert Path(half).stat().st_size < 0.6 * Path(whole).stat().st_size


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--share", "1"), "2 weights and 1 shares: give one --share for each, or none"),
        (("--share", "1", "--share", "-1"), "shares must be positive, not 1, -1"),
    ],
)
def test_shares_that_do_not_fit_are_refused(
    parts: list[str], tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = call(*parts, str(tmp_path / "out.safetensors"), *arguments)
    assert result.exit_code == 2 and message in result.output
    assert not (tmp_path / "out.safetensors").exists()


def test_different_networks_are_refused(tmp_path: Path) -> None:
    result = call("untrained", "untrained-resnet50", str(tmp_path / "out.safetensors"))
    assert result.exit_code == 2 and "only alike networks have a mean, not lite0, resnet50" in result.output
