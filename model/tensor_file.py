"""Safetensors files in memory: a header of free text, and named tensors. Nothing in them is executed."""

import json
from collections.abc import Mapping

import safetensors.torch
from torch import Tensor


def pack(tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> bytes:
    """The file's bytes; the layout of a tensor in memory is not kept."""
    return safetensors.torch.save({name: tensor.contiguous() for name, tensor in tensors.items()}, dict(header))


def unpack(data: bytes) -> tuple[dict[str, str], dict[str, Tensor]]:
    """(header, tensors) of a file's bytes.

    Raises SafetensorError or ValueError for anything else.
    """
    tensors = safetensors.torch.load(data)
    # The format: 8 bytes length, then JSON, in which the free text is an entry of its own.
    size = int.from_bytes(data[:8], "little")
    return dict(json.loads(data[8 : 8 + size]).get("__metadata__", {})), tensors
