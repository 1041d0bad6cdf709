"""What goes to a GPU and what comes back, without that either waits for the other; on the CPU nothing is copied."""

import torch
from torch import Tensor


class Upload:
    """Brings frames to a device, from any thread.

    To a GPU by pinned memory and a stream of its own, so that it goes on while the GPU computes.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def __call__(self, frame: Tensor) -> "Uploaded":
        """Begins; nothing waits."""
        if self._stream is None:
            return Uploaded(frame)
        with torch.cuda.stream(self._stream):
            there = frame.pin_memory().to(self._device, non_blocking=True)
            return Uploaded(there, self._stream.record_event())


class Uploaded:
    """A frame that is on its way to a device, or there."""

    def __init__(self, frame: Tensor, arrives: torch.cuda.Event | None = None) -> None:
        self._frame = frame
        self._arrives = arrives

    def arrived(self) -> Tensor:
        """For the current stream, which waits for it; the host does not."""
        if self._arrives is not None:
            stream = torch.cuda.current_stream(self._frame.device)
            stream.wait_event(self._arrives)
            self._frame.record_stream(stream)  # else its memory could be another frame's before it was read
        return self._frame


class Download:
    """Brings a tensor of a device to the CPU."""

    def __init__(self, there: Tensor) -> None:
        """Begins; nothing waits."""
        self._done: torch.cuda.Event | None = None
        if there.device.type == "cuda":
            self._here = torch.empty(there.shape, dtype=there.dtype, pin_memory=True)
            self._here.copy_(there, non_blocking=True)
            self._done = torch.cuda.current_stream(there.device).record_event()
        else:
            self._here = there

    def fetch(self) -> Tensor:
        """What it is, on the CPU; the host waits until it is there."""
        if self._done is not None:
            self._done.synchronize()
        return self._here.cpu()
