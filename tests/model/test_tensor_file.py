"""Safetensors in memory."""

import pytest
import torch
from safetensors import SafetensorError

from model.tensor_file import pack, unpack


def test_tensors_and_header_come_back() -> None:
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "none": torch.empty(0, 4), "n": torch.tensor([2**40])}
    header, found = unpack(pack(tensors, {"says": 'any "text", ä'}))
    assert header == {"says": 'any "text", ä'}
    assert found.keys() == tensors.keys()
    assert all(
        torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype for name, tensor in tensors.items()
    )


def test_the_layout_in_memory_makes_no_difference() -> None:
    x = torch.arange(2.0 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    assert pack({"x": x.contiguous(memory_format=torch.channels_last)}, {}) == pack({"x": x}, {})


def test_a_file_may_hold_no_tensor() -> None:
    assert unpack(pack({}, {"a": "b"})) == ({"a": "b"}, {})


@pytest.mark.parametrize("data", [b"", b"12345678", b"\x02" + 7 * b"\x00" + b"[]", pack({"a": torch.ones(9)}, {})[:-1]])
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises((SafetensorError, ValueError)):
        unpack(data)
