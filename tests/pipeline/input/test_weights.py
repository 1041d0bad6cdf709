"""Weights by name, path or URL; what does not fit is refused with the file's name."""

import io
import uuid
from pathlib import Path

import pytest
import torch

from model.checkpoint import UNTRAINED, fingerprint, to_bytes
from model.network import untrained
from pipeline.errors import InvalidCheckpoint
from pipeline.input.weights import DEFAULT_CHECKPOINT, load_network, load_official
from pipeline.storage.store import Store


def test_the_default_needs_no_file() -> None:
    network = load_network(DEFAULT_CHECKPOINT)
    assert not network.training
    assert fingerprint(network) == fingerprint(load_network(DEFAULT_CHECKPOINT))


@pytest.mark.parametrize("kind", ["path", "file", "memory"])
def test_a_file_on_any_store(kind: str, tmp_path: Path) -> None:
    network = untrained(seed=5)
    folder = {"path": str(tmp_path), "file": f"file://{tmp_path}", "memory": f"memory://{uuid.uuid4().hex}"}[kind]
    Store(folder).put("w.safetensors", to_bytes(network))
    found = load_network(f"{folder}/w.safetensors")
    assert fingerprint(found) == fingerprint(network) != fingerprint(load_network(DEFAULT_CHECKPOINT))
    assert not found.training


def test_a_missing_file_lists_the_names(tmp_path: Path) -> None:
    with pytest.raises(InvalidCheckpoint, match=r"gone\.safetensors") as error:
        load_network(str(tmp_path / "gone.safetensors"))
    assert all(name in str(error.value) for name in UNTRAINED)


@pytest.mark.parametrize("data", [b"", b"no weights", to_bytes(untrained())[:-100]], ids=["empty", "text", "cut"])
def test_a_broken_file_is_named(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(data)
    with pytest.raises(InvalidCheckpoint, match=r"w\.safetensors"):
        load_network(str(tmp_path / "w.safetensors"))


def test_a_changed_value_is_noticed(tmp_path: Path) -> None:
    data = bytearray(to_bytes(untrained()))
    data[-1] ^= 1
    (tmp_path / "w.safetensors").write_bytes(data)
    with pytest.raises(InvalidCheckpoint, match=r"w\.safetensors is damaged"):
        load_network(str(tmp_path / "w.safetensors"))


def test_no_published_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(InvalidCheckpoint, match=r"gone\.pth"):
        load_official(str(tmp_path / "gone.pth"))
    buffer = io.BytesIO()
    torch.save({"model": {"nonsense": torch.zeros(1)}}, buffer)
    (tmp_path / "odd.pth").write_bytes(buffer.getvalue())
    with pytest.raises(InvalidCheckpoint, match=r"odd\.pth .*(?s:.*)unexpected: nonsense"):
        load_official(str(tmp_path / "odd.pth"))
