"""What the model can refuse. The pipeline re-raises these with the video and the frame.

ModelError
├── NonFinite         NaN or infinity in a frame's features or scores
├── OutOfMemory       the device's memory did not suffice
├── BudgetTooSmall    the bank's budget cannot hold what one frame brings
├── BadCheckpoint     not a checkpoint of ours, or it does not fit
└── BadState          not a segmenter's state, or one of another version, configuration or weights
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


class ModelError(Exception):
    """Something the model cannot work with."""


class NonFinite(ModelError):
    """NaN or infinity where features or scores should be."""


class OutOfMemory(ModelError):
    """The device's memory did not suffice; smaller blocks or a smaller picture may."""


class BudgetTooSmall(ModelError):
    """The bank's budget cannot hold what one frame brings."""


class BadCheckpoint(ModelError):
    """A file that is no checkpoint, or one of another network."""


class BadState(ModelError):
    """A stored state that a segmenter cannot go on with."""


@contextmanager
def translate_out_of_memory() -> Iterator[None]:
    """Turn the allocators' ways of saying "out of memory" into `OutOfMemory`; other errors pass."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemory(str(error)) from error
    except MemoryError as error:
        raise OutOfMemory("the machine is out of memory") from error
    except RuntimeError as error:
        if "can't allocate memory" in str(error):  # torch's CPU allocator has no type of its own
            raise OutOfMemory(str(error)) from error
        raise
