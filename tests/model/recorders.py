"""What torch does while a block of code runs: which operations, how large their results are, and what the host asks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

T = TypeVar("T")


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


class Uploads(TorchFunctionMode):
    """Counts what the host brings to a device: a GPU and the host wait for each other at each."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in (torch.tensor, torch.as_tensor, torch.from_numpy):
            self.count += 1
        if func is Tensor.__getitem__ and any(isinstance(index, list) for index in _as_tuple(args[1])):
            self.count += 1
        return func(*args, **(kwargs or {}))


def _as_tuple(index: object) -> tuple[object, ...]:
    return index if isinstance(index, tuple) else (index,)


class Tape:
    """Records on the CPU as a CUDA graph does on a GPU (`model.capture.Record`).

    What is kept are operations with the very tensors they were done to, and the numbers that the host gave. To record
    leaves all tensors of before as they were; to replay does the same to the same memory, and asks the host nothing.
    """

    def __init__(self) -> None:
        self.recorded = 0
        self.replayed = 0

    def __call__(self, function: Callable[[], T]) -> tuple[T, Callable[[], object]]:
        keeper = _Keeper()
        with keeper.undone(), keeper:
            found = function()
        self.recorded += 1

        def replay() -> None:
            self.replayed += 1
            for func, args, kwargs, result in keeper.operations:
                again = func(*args, **kwargs)
                for own, new in zip(_tensors(result), _tensors(again), strict=True):
                    if own.shape != new.shape:
                        raise RuntimeError(f"of {func} the shape depends on values")
                    if not _shares_memory(own, new):
                        own.copy_(new)

        return found, replay


class _Keeper(TorchDispatchMode):
    """Keeps the operations of a block, and what they changed of tensors of before."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], Any]] = []
        self._own: dict[int, Any] = {}
        """Storages that were made in the block, by address of the object that stands for them."""
        self._before: dict[int, tuple[Any, Any]] = {}
        """Storages that were there and are written to, and copies of them."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        inputs = {_storage(x)._cdata: _storage(x) for x in _tensors((args, kwargs))}
        if func._schema.is_mutable:
            for key, storage in inputs.items():
                if key not in self._own and key not in self._before:
                    self._before[key] = storage, storage.clone()
        result = func(*args, **kwargs)
        if any(not isinstance(leaf, Tensor) for leaf in tree_leaves(result)):
            raise RuntimeError(f"the host asked for the result of {func}")
        for x in _tensors(result):
            if _storage(x)._cdata not in inputs:
                self._own[_storage(x)._cdata] = _storage(x)
        self.operations.append((func, args, kwargs, result))
        return result

    @contextmanager
    def undone(self) -> Iterator[None]:
        """In the end tensors of before are as they were."""
        try:
            yield
        finally:
            for storage, copy in self._before.values():
                storage.copy_(copy)


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def _storage(x: Tensor) -> Any:
    return x.untyped_storage()


def _shares_memory(one: Tensor, other: Tensor) -> bool:
    return _storage(one).data_ptr() == _storage(other).data_ptr()
