"""Every operation that torch carries out in a block of work: in which stage of a frame it lies, how long it takes, what
it computes, and whether a host would wait for its GPU.

The stage follows from the functions that are running, so the main path carries no marks for it. Recording takes longer
than the operations of a small picture; of each operation only its own time counts.
"""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

STAGES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "bank": (("model.bank", ""), ("model.slots", "")),
    "read": (("model.matcher", ""),),
    "refine": (("model.decoder", "_local"),),
    "decode": (("model.decoder", ""),),
    "memorize": (("model.network", "memorize"),),
    "trunk": (("model.network", "segment"),),
    "labels, statistics": (("model.segmenter", ""),),
}
"""By stage what is running in it: modules and functions of them, "" for any. The first one that fits counts."""

OTHER = "other"
"""What lies in no stage."""

_WAITS = {
    "aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::_unique2", "aten::unique_dim",
    "aten::unique_consecutive", "aten::bincount", "aten::equal", "aten::repeat_interleave.Tensor",
}  # fmt: skip
"""Operations whose result, or its size, the host must know before it goes on."""
_COPIES = {"aten::_to_copy", "aten::copy_"}
_MAKE_NOTHING = {"aten::empty", "aten::new_empty", "aten::empty_like", "aten::empty_strided", "aten::new_empty_strided"}
_TO_HOST = {torch.Tensor.cpu, torch.Tensor.tolist}


@dataclass(kw_only=True)
class Stage:
    """Sums over the operations of a stage."""

    seconds: float = 0.0
    flop: float = 0.0
    """Of matrix products and convolutions, 2 a multiply-add."""
    operations: int = 0
    """That compute or copy: about as many kernels would be launched on a GPU."""
    waits: int = 0
    """After how many of them a host would wait for its GPU."""

    def __add__(self, other: "Stage") -> "Stage":
        return Stage(
            seconds=self.seconds + other.seconds,
            flop=self.flop + other.flop,
            operations=self.operations + other.operations,
            waits=self.waits + other.waits,
        )


@contextmanager
def recorded(device: torch.device) -> Iterator[dict[str, Stage]]:
    """What the block does, by stage, complete when it is over.

    Seconds are of the processor on a CPU, where others may be at work; on a GPU each operation is waited for.
    """
    stages: dict[str, Stage] = {}
    with ExitStack() as modes:
        if device.type == "cpu":
            modes.enter_context(_ToHost(stages))
        modes.enter_context(_Operations(stages, device))
        yield stages


class _Operations(TorchDispatchMode):
    def __init__(self, stages: dict[str, Stage], device: torch.device) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._stages = stages
        self._cuda = device.type == "cuda"

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        with self:
            parts = func.decompose(*args, **kwargs)
        if parts is not NotImplemented:
            return parts
        began = self._now()
        found = func(*args, **kwargs)
        seconds = self._now() - began
        stage = _current(self._stages)
        name = func.name()
        stage.seconds += seconds
        if func.overloadpacket in flop_registry:
            stage.flop += flop_registry[func.overloadpacket](*args, **kwargs, out_val=found)
        if not func.is_view and name.partition(".")[0] not in _MAKE_NOTHING:
            stage.operations += 1
        stage.waits += _waits(name, args, found)
        return found

    def _now(self) -> float:
        if self._cuda:
            torch.cuda.synchronize()
            return time.perf_counter()
        return time.process_time()


class _ToHost(TorchFunctionMode):
    """Counts what would bring values from a GPU to the host, where both are one and nothing is carried out."""

    def __init__(self, stages: dict[str, Stage]) -> None:
        super().__init__()
        self._stages = stages

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _TO_HOST:
            _current(self._stages).waits += 1
        return func(*args, **(kwargs or {}))


def _current(stages: dict[str, Stage]) -> Stage:
    return stages.setdefault(_stage(), Stage())


def _stage() -> str:
    running, frame = set(), sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith("model."):
            running |= {(module, frame.f_code.co_name), (module, "")}
        frame = frame.f_back  # type: ignore[assignment]
    return next((stage for stage, places in STAGES.items() if not running.isdisjoint(places)), OTHER)


def _waits(name: str, args: Any, found: Any) -> bool:
    if name in _WAITS:
        return True
    if name == "aten::index.Tensor":
        return _by_mask(args[1])
    if name in ("aten::index_put_", "aten::_index_put_impl_"):  # a single value is filled in without a search
        return _by_mask(args[1]) and args[2].numel() > 1
    if name in _COPIES:
        source = args[1] if name == "aten::copy_" else args[0]
        return bool(source.device.type == "cuda" and found.device.type == "cpu")
    return False


def _by_mask(indices: Any) -> bool:
    return any(index is not None and index.dtype == torch.bool for index in indices)
