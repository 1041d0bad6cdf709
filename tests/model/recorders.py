"""What torch does while a block of code runs: which operations, how large their results are, and what the host asks."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class Operations(TorchDispatchMode):
    """Every operation below autograd, by name, and the elements of the largest tensor that one gave back."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: list[str] = []
        self.largest = 0

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = self.call(func, args, kwargs or {})
        self.names.append(str(func))
        for x in result if isinstance(result, tuple | list) else [result]:
            if isinstance(x, Tensor):
                self.largest = max(self.largest, x.numel())
        return result

    def call(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """One operation."""
        return func(*args, **kwargs)


class Questions(Operations):
    """Stands for a GPU with tensors on the device "meta", which hold no values: whatever else would wait for a value
    fails there, and each copy to the CPU is counted and gives zeros.
    """

    def __init__(self) -> None:
        super().__init__()
        self.transfers = 0

    def call(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        device = kwargs.get("device", next((x for x in args[1:] if isinstance(x, torch.device)), None))
        leaves = device is not None and torch.device(device).type == "cpu"
        if leaves and args and isinstance(args[0], Tensor) and args[0].device.type == "meta":
            self.transfers += 1
            return torch.zeros(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype)
        return super().call(func, args, kwargs)
