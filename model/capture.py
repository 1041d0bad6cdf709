"""A step as one call: what a GPU does for a frame is recorded once, and done again for the frames that are alike.

For the host to ask for a thousand operations takes longer than for a GPU to do them. What is recorded is what was done,
to the tensors that it was done to, with the numbers that the host gave: nothing that the host decides is decided again.
So a step that is recorded keeps what it changes at its place in memory, and takes from the host only what is copied
into tensors before; frames for which the host decides something else are not alike.
"""

import logging
from collections.abc import Callable, Hashable
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
_logger = logging.getLogger(__name__)


class Record(Protocol):
    """Records what a function does to tensors, without doing it."""

    def __call__(self, function: Callable[[], T]) -> tuple[T, Callable[[], object]]:
        """What the function returned, and what does it: then that holds values, until it is done the next time.

        Raises RuntimeError for what cannot be recorded.
        """


class CudaGraphs:
    """Records as CUDA graphs. All use the same memory in turn: what one gave is to be used before another is done."""

    def __init__(self) -> None:
        self._pool: Any = None

    def __call__(self, function: Callable[[], T]) -> tuple[T, Callable[[], object]]:
        """As `Record`."""
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        # Other threads may go on: they copy frames, and take memory for these.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            found = function()
        return found, graph.replay


class Captured(Generic[T]):
    """A step, for frames of one size: done the first time for those that are alike, recorded the second."""

    def __init__(self, record: Record | None, device: torch.device) -> None:
        """None: nothing is recorded. `device`: that of the step."""
        self._record = record
        self._device = device
        self._frame: Tensor | None = None
        """Where all that is recorded finds the frame."""
        self._steps: dict[Hashable, tuple[T, Callable[[], object]] | None] = {}
        """By what frames have in common; None: done once, so that what is set up once is."""

    def forget(self) -> None:
        """What was recorded is no longer true, since something that it uses lies elsewhere."""
        self._frame = None
        self._steps.clear()

    def run(self, like: Hashable, frame: Tensor, step: Callable[[Tensor], T]) -> T:
        """What `step(frame)` gives. `like` names all that it depends on besides tensors."""
        if self._record is None:
            return step(frame)
        if self._frame is None or self._frame.shape != frame.shape:
            self.forget()
            self._frame = torch.empty_like(frame, device=self._device)
        if like not in self._steps:
            self._steps[like] = None
            return step(frame)
        recorded = self._steps[like] or self._recorded(self._record, self._frame, step)
        if recorded is None:
            return step(frame)
        self._steps[like] = recorded
        found, replay = recorded
        self._frame.copy_(frame, non_blocking=True)
        replay()
        return found

    def _recorded(
        self, record: Record, frame: Tensor, step: Callable[[Tensor], T]
    ) -> tuple[T, Callable[[], object]] | None:
        try:
            return record(lambda: step(frame))
        except RuntimeError as error:
            _logger.warning(
                "a step could not be recorded (%s): the masks are the same without, only slower; to say nothing of it, "
                "leave out --capture",
                error,
            )
            self._record = None
            return None
