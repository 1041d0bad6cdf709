import importlib
import io
import json
import os
import pathlib
import pickle
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from model.checkpoint import (
    FORMAT,
    UNTRAINED,
    fingerprint,
    from_bytes,
    from_official,
    load_untrained,
    our_name,
    read_card,
    to_bytes,
)
from model.errors import BadCheckpoint
from model.network import AFBURR, NEARNESS, PLACE
from model.tensor_file import pack as packed
from model.tensor_file import unpack
from tests.model.builders import copy_of, network

NAMES = pathlib.Path(__file__).parent.parent / "golden" / "state_dict_names.json"


@cache
def published() -> dict[str, Tensor]:
    """A state as the authors' code saves it, with made weights."""
    recipe = importlib.import_module("tests.golden.recipe")
    entries = [(entry["name"], tuple(entry["shape"])) for entry in json.loads(NAMES.read_text())]
    return {name: torch.as_tensor(value) for name, value in recipe.make_state_dict(3, entries).items()}


def light(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same names and shapes in a small file."""
    return {name: torch.zeros((), dtype=value.dtype).expand(value.shape) for name, value in state.items()}


def saved(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def with_header(data: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """The same tensors under another header."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    change(header)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def test_a_roundtrip_keeps_every_bit() -> None:
    loaded = from_bytes(to_bytes(network()), "x")
    assert loaded.preset == "lite0"
    assert not loaded.training
    assert loaded.state_dict().keys() == network().state_dict().keys()
    assert all(torch.equal(value, network().state_dict()[name]) for name, value in loaded.state_dict().items())
    assert fingerprint(loaded) == fingerprint(network())


def test_the_card_travels_along() -> None:
    card = read_card(to_bytes(network(), {"data": "clips made from seeds"}), "x")
    assert card == {
        "data": "clips made from seeds",
        "format": FORMAT,
        "preset": "lite0",
        "fingerprint": fingerprint(network()),
    }


def test_a_card_cannot_claim_another_fingerprint() -> None:
    data = to_bytes(network(), {"fingerprint": "0" * 16, "preset": "resnet50", "format": "else"})
    assert read_card(data, "x")["fingerprint"] == fingerprint(network())
    assert from_bytes(data, "x").preset == "lite0"


def test_the_fingerprint_follows_every_value() -> None:
    changed = copy_of(network())
    with torch.no_grad():
        changed.get_parameter("decoder.pred.bias").add_(1e-6)
    assert fingerprint(changed) != fingerprint(network())
    assert len(fingerprint(changed)) == 16


def before_hints(data: bytes) -> bytes:
    """The file as it was written before there was a layer for hints."""
    header, tensors = unpack(data)
    return packed({name: value for name, value in tensors.items() if name != PLACE}, header)


def test_weights_of_before_hints_load_with_a_layer_of_zeros_and_their_fingerprint() -> None:
    made = to_bytes(network())
    old = before_hints(made)
    assert len(old) < len(made)
    loaded = from_bytes(old, "x")
    assert not bool(loaded.state_dict()[PLACE].any())
    assert all(torch.equal(value, network().state_dict()[name]) for name, value in loaded.state_dict().items())
    assert fingerprint(loaded) == read_card(old, "x")["fingerprint"]


def test_what_was_learnt_of_hints_changes_the_fingerprint_and_cannot_be_left_out() -> None:
    learnt = copy_of(network())
    torch.nn.init.constant_(learnt.state_dict()[PLACE][0], 0.5)
    assert fingerprint(learnt) != fingerprint(network())
    with pytest.raises(BadCheckpoint, match="damaged"):
        from_bytes(before_hints(to_bytes(learnt)), "x")


def test_weights_of_before_anything_was_read_nearby_load_without_and_keep_their_fingerprint() -> None:
    older = copy_of(network())
    older.nearness = None
    data = to_bytes(older)
    assert NEARNESS not in unpack(data)[1]
    loaded = from_bytes(data, "x")
    assert not loaded.reads_nearby
    assert fingerprint(loaded) == fingerprint(older) != fingerprint(network())


def test_changed_weights_are_refused() -> None:
    data = bytearray(to_bytes(network()))
    data[-5] ^= 1
    with pytest.raises(BadCheckpoint, match=r"w\.safetensors is damaged.*fingerprint"):
        from_bytes(bytes(data), "w.safetensors")


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:-1], lambda data: data[: len(data) // 2], lambda data: data[:5], lambda _: b""],
    ids=["last byte", "half", "no header", "empty"],
)
def test_a_truncated_file_is_refused(damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(BadCheckpoint, match=r"w\.safetensors is not a safetensors file"):
        from_bytes(damage(to_bytes(network())), "w.safetensors")


@pytest.mark.parametrize("data", [b"a plain text that is no checkpoint\n" * 9, b"\x89PNG\r\n\x1a\n" + bytes(99)])
def test_another_kind_of_file_is_refused(data: bytes) -> None:
    with pytest.raises(BadCheckpoint, match=r"notes\.txt"):
        from_bytes(data, "notes.txt")


def test_other_safetensors_are_refused_with_what_to_do() -> None:
    other = safetensors.torch.save({"weight": torch.ones(2)}, {"format": "pt"})
    with pytest.raises(BadCheckpoint, match=r"(?s)other\.st .*convert-checkpoint"):
        from_bytes(other, "other.st")


def test_an_unknown_preset_is_named_with_the_known_ones() -> None:
    data = with_header(to_bytes(network()), lambda header: header["__metadata__"].update(preset="lite9"))
    with pytest.raises(BadCheckpoint, match=r"(?s)w .*lite9.*lite0.*resnet50"):
        from_bytes(data, "w")


@pytest.mark.parametrize("entry", ["preset", "fingerprint"])
def test_a_header_of_ours_without_an_entry_is_refused(entry: str) -> None:
    data = with_header(to_bytes(network()), lambda header: header["__metadata__"].pop(entry))
    with pytest.raises(BadCheckpoint, match="w"):
        from_bytes(data, "w")


def test_weights_of_another_preset_do_not_fit() -> None:
    data = with_header(to_bytes(network()), lambda header: header["__metadata__"].update(preset="resnet50"))
    with pytest.raises(BadCheckpoint) as refused:
        from_bytes(data, "w")
    message = str(refused.value)
    assert "missing: query_encoder.trunk.conv1.weight" in message
    assert "unexpected: query_encoder.trunk.conv_stem.weight" in message
    assert "shape of key_value.key.weight: (64, 112, 3, 3) in the file, (128, 1024, 3, 3) in the network" in message


def test_a_checkpoint_with_an_entry_missing_is_refused() -> None:
    state = dict(network().state_dict())
    del state["decoder.pred.bias"]
    card = {"format": FORMAT, "preset": "lite0", "fingerprint": fingerprint(network())}
    with pytest.raises(BadCheckpoint, match=r"missing: decoder\.pred\.bias"):
        from_bytes(packed(state, card), "w")


def test_untrained_networks_load_by_name() -> None:
    assert {name: load_untrained(name).preset for name in UNTRAINED} == UNTRAINED
    assert fingerprint(load_untrained("untrained")) == fingerprint(network())


def assert_holds_the_published_weights(loaded: AFBURR) -> None:
    own = loaded.state_dict()
    assert loaded.preset == "resnet50"
    assert not loaded.training
    assert {our_name(name) for name in published()} == own.keys()
    assert all(torch.equal(own[our_name(name)], value) for name, value in published().items())


def test_a_published_checkpoint_converts_entry_by_entry() -> None:
    loaded = from_official(saved({"epoch": 7, "model": published(), "seed": -1}), "afb.pth")
    assert_holds_the_published_weights(loaded)


def test_a_published_checkpoint_of_several_devices_converts_too() -> None:
    prefixed = {f"module.{name}": value for name, value in published().items()}
    assert_holds_the_published_weights(from_official(saved({"model": prefixed}), "afb.pth"))


@pytest.mark.parametrize(
    ("official", "ours"),
    [
        ("encoder_q.res2.0.downsample.1.running_var", "query_encoder.trunk.layer1.0.downsample.1.running_var"),
        ("encoder_m.conv1_o.weight", "reference_encoder.mask_stem.conv1_o.weight"),
        ("encoder_m.conv1.weight", "reference_encoder.trunk.conv1.weight"),
        ("keyval_r4.Value.bias", "key_value.value.bias"),
        ("decoder.RF3.ResFS.conv2.bias", "decoder.refine3.res_fs.conv2.bias"),
        ("decoder.local_convFM.weight", "decoder.local_conv.weight"),
    ],
)
def test_published_names_become_ours(official: str, ours: str) -> None:
    assert our_name(official) == ours
    assert our_name(f"module.{official}") == ours


def test_every_fault_of_a_published_checkpoint_is_named() -> None:
    state = light(published())
    del state["decoder.pred2.bias"], state["keyval_r4.Key.weight"]
    state["classifier.weight"] = torch.zeros(3)
    state["encoder_q.conv1.weight"] = torch.zeros(64, 4, 7, 7)
    with pytest.raises(BadCheckpoint) as refused:
        from_official(saved({"model": state}), "afb.pth")
    assert str(refused.value).splitlines() == [
        "afb.pth does not fit the network 'resnet50':",
        "  missing: key_value.key.weight",
        "  missing: decoder.pred.bias",
        "  unexpected: classifier.weight",
        "  shape of encoder_q.conv1.weight: (64, 4, 7, 7) in the file, (64, 3, 7, 7) in the network",
    ]


def test_a_part_of_a_published_checkpoint_is_refused() -> None:
    part = {name: value for name, value in light(published()).items() if name.startswith("encoder_q.")}
    with pytest.raises(BadCheckpoint, match=r"missing: decoder\.conv_fm\.weight"):
        from_official(saved({"model": part}), "afb.pth")


class Trap:
    """Unpickling it without care makes a folder."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(
    "pack",
    [lambda trap: saved({"model": trap}), saved, lambda trap: pickle.dumps(trap, protocol=2)],
    ids=["inside", "instead", "bare pickle"],
)
def test_a_file_that_would_execute_code_is_refused_and_does_nothing(
    pack: Callable[[Trap], bytes], tmp_path: pathlib.Path
) -> None:
    sprung = tmp_path / "sprung"
    with pytest.raises(BadCheckpoint, match=r"afb\.pth"):
        from_official(pack(Trap(sprung)), "afb.pth")
    assert not sprung.exists()
    pickle.loads(pickle.dumps(Trap(sprung)))
    assert sprung.exists()  # the trap was armed


@pytest.mark.parametrize(
    "content",
    [[1, 2], torch.zeros(3), {"state_dict": {}}, {"model": 3}, {"model": {"weight": "text"}}],
    ids=["list", "tensor", "no model", "model is a number", "values are no tensors"],
)
def test_a_pickle_of_something_else_is_refused(content: object) -> None:
    with pytest.raises(BadCheckpoint, match=r"afb\.pth is no published .*'model'"):
        from_official(saved(content), "afb.pth")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"plain text\n" * 20,
        saved({"model": {"a": torch.zeros(3)}})[:-40],
        bytes(range(256)),
        b"PK\x03\x04" + bytes(60),
    ],
    ids=["empty", "text", "truncated", "noise", "broken zip"],
)
def test_a_file_that_is_no_pickle_is_refused(data: bytes) -> None:
    with pytest.raises(BadCheckpoint, match=r"afb\.pth is not a file of weights"):
        from_official(data, "afb.pth")


@pytest.mark.parametrize("cut", [10, 60, 300, 500, 2])
def test_a_truncated_file_of_torch_s_older_format_is_refused(cut: int) -> None:
    file = io.BytesIO()
    torch.save({"model": {"a": torch.zeros(3), "b": torch.ones(2)}}, file, _use_new_zipfile_serialization=False)
    with pytest.raises(BadCheckpoint, match=r"afb\.pth is not a file of weights"):
        from_official(file.getvalue()[:-cut], "afb.pth")


def test_our_own_file_is_no_published_one() -> None:
    with pytest.raises(BadCheckpoint, match=r"afb\.pth"):
        from_official(to_bytes(network()), "afb.pth")
