"""Checkpoints: safetensors with preset and fingerprint inside, and the published code's format read in.

Legend: a state is {parameter name: tensor}.
"""

import copy
import hashlib
import io
import pickle
import re
import struct
from collections.abc import Mapping
from importlib import resources

import torch
from safetensors import SafetensorError
from torch import Tensor

from model.errors import BadCheckpoint
from model.network import AFBURR, DEFAULT_PRESET, NEARNESS, PLACE, PRESETS, untrained
from model.tensor_file import pack, unpack

FORMAT = "vos-batch-1"
_SUFFIX = ".safetensors"
UNTRAINED = {"untrained": DEFAULT_PRESET, "untrained-resnet50": "resnet50"}
"""Checkpoints without a file: reproducible random weights, for trying the machinery."""

_UNPICKLING = (
    pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError,
    AssertionError, struct.error,
)  # fmt: skip
"""What reading a damaged pickle can raise."""

_OFFICIAL_NAMES = (
    (r"^encoder_m\.conv1_([mo])\.", r"reference_encoder.mask_stem.conv1_\1."),
    (r"^encoder_m\.", "reference_encoder.trunk."),
    (r"^encoder_q\.", "query_encoder.trunk."),
    (r"\.res2\.", ".layer1."),
    (r"\.res3\.", ".layer2."),
    (r"\.res4\.", ".layer3."),
    (r"^keyval_r4\.Key\.", "key_value.key."),
    (r"^keyval_r4\.Value\.", "key_value.value."),
    (r"\.convFM\.", ".conv_fm."),
    (r"\.RF(\d)\.", r".refine\1."),
    (r"\.convFS\.", ".conv_fs."),
    (r"\.ResFS\.", ".res_fs."),
    (r"\.ResMM\.", ".res_mm."),
    (r"\.pred2\.", ".pred."),
    (r"\.local_convFM\.", ".local_conv."),
    (r"\.local_ResMM\.", ".local_res."),
    (r"\.local_pred2\.", ".local_pred."),
)


def fingerprint(network: AFBURR) -> str:
    """16 hex digits over preset, names, types and values; independent of the file that holds them.

    Weights that take no hints (`model.network.PLACE` is zero) segment as they did before there was a layer for them,
    and so their fingerprint is that of then.
    """
    digest = hashlib.sha256(network.preset.encode())
    for name, tensor in sorted(network.state_dict().items()):
        if name == PLACE and not bool(tensor.any()):
            continue
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name}:{values.dtype}:{tuple(values.shape)}".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def to_bytes(network: AFBURR, card: Mapping[str, str] | None = None, *, half: bool = False) -> bytes:
    """A safetensors file; `card` is free text about where the weights come from.

    `half` stores 16 bits a value; the fingerprint is that of the network which is read back.
    """
    if half:
        network = copy.deepcopy(network).half().float()
    described = {
        **(card or {}),
        "format": FORMAT,
        "preset": network.preset,
        "fingerprint": fingerprint(network),
    }
    dtype = torch.float16 if half else torch.float32
    tensors = {name: _stored(tensor, dtype) for name, tensor in network.state_dict().items()}
    return pack(tensors, described)


def _stored(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    plain = tensor.detach().cpu()
    return plain.to(dtype) if plain.is_floating_point() else plain


def from_bytes(data: bytes, name: str) -> AFBURR:
    """The network of a safetensors file; `name` is for messages.

    Raises:
        BadCheckpoint: not a checkpoint of ours, damaged, or not matching its preset in every entry.
    """
    card, tensors = _parse(data, name)
    if card.get("format") != FORMAT or not {"preset", "fingerprint"} <= card.keys():
        raise BadCheckpoint(
            f"{name} is no vos-batch checkpoint (its header does not say {FORMAT}, preset and fingerprint); "
            "turn a published one into ours with `vos-batch convert-checkpoint OFFICIAL.pth OUT.safetensors`"
        )
    if card["preset"] not in PRESETS:
        raise BadCheckpoint(f"{name} holds the network {card['preset']!r}; known are {', '.join(PRESETS)}")
    network = _filled(card["preset"], tensors, name)
    if fingerprint(network) != card["fingerprint"]:
        raise BadCheckpoint(f"{name} is damaged: its weights do not match the fingerprint in its header")
    return network


def read_card(data: bytes, name: str) -> dict[str, str]:
    """What a safetensors file says of itself. Raises BadCheckpoint for another or damaged file."""
    return _parse(data, name)[0]


def _parse(data: bytes, name: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        return unpack(data)
    except (SafetensorError, ValueError) as error:
        raise BadCheckpoint(f"{name} is not a safetensors file: {error}") from error


def boxed_names() -> tuple[str, ...]:
    """Names of the checkpoints that come with the package."""
    files = resources.files("model").joinpath("checkpoints").iterdir()
    return tuple(sorted(file.name.removesuffix(_SUFFIX) for file in files if file.name.endswith(_SUFFIX)))


def read_boxed(name: str) -> bytes:
    """The file of one of `boxed_names`."""
    return resources.files("model").joinpath("checkpoints", name + _SUFFIX).read_bytes()


def load_untrained(name: str) -> AFBURR:
    """One of `UNTRAINED`."""
    return untrained(UNTRAINED[name])


def from_official(data: bytes, name: str) -> AFBURR:
    """The `resnet50` network of a published AFB-URR checkpoint (`torch.save` of a dict with key `model`).

    Nothing in the file is executed: only tensors and plain containers are unpickled.

    Raises:
        BadCheckpoint: not such a file, or entries missing, unexpected or of another shape, all named.
    """
    try:
        loaded = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except _UNPICKLING as error:
        raise BadCheckpoint(f"{name} is not a file of weights that can be read safely: {error}") from error
    state = loaded.get("model") if isinstance(loaded, dict) else None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise BadCheckpoint(f"{name} is no published AFB-URR checkpoint: it needs a dict of tensors under 'model'")
    official = {our_name(key): key for key in state}
    return _filled("resnet50", {ours: state[key] for ours, key in official.items()}, name, shown=official)


def our_name(official: str) -> str:
    """The name of a published entry in our network."""
    for pattern, replacement in _OFFICIAL_NAMES:
        official = re.sub(pattern, replacement, official.removeprefix("module."))
    return official


def _filled(preset: str, state: Mapping[str, Tensor], name: str, *, shown: Mapping[str, str] | None = None) -> AFBURR:
    """`shown`: the names of the file's entries, where these differ from ours."""
    network = AFBURR(preset)
    if NEARNESS not in state:
        network.nearness = None
    own = network.state_dict()
    faults = [f"missing: {key}" for key in own if key not in state and key != PLACE]
    shown = shown or {}
    faults += [f"unexpected: {shown.get(key, key)}" for key in state if key not in own]
    faults += [
        f"shape of {shown.get(key, key)}: {tuple(value.shape)} in the file, {tuple(own[key].shape)} in the network"
        for key, value in state.items()
        if key in own and value.shape != own[key].shape
    ]
    if faults:
        raise BadCheckpoint(f"{name} does not fit the network {preset!r}:\n  " + "\n  ".join(faults))
    network.load_state_dict({**own, **{key: value.to(own[key].dtype) for key, value in state.items()}})
    return network.eval()
