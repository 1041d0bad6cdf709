"""Which device a process computes on."""

import os
from typing import Literal

import torch

from model.runtime import REPEATABLE_ENVIRONMENT
from pipeline.errors import InvalidInput

Device = Literal["auto", "cuda", "cpu"]


def pick_device(wanted: Device, *, reserved_gpus: float = 0.0) -> torch.device:
    """The device of this process.

    `auto` takes the GPU when there is one; a worker for which a GPU was reserved refuses to run without it.
    Raises InvalidInput for a GPU that is not there.
    """
    visible = torch.cuda.is_available()
    if wanted == "cpu" or (wanted == "auto" and not visible and not reserved_gpus):
        return torch.device("cpu")
    if not visible:
        raise InvalidInput(
            "a GPU was asked for but torch sees none in this process: check the driver and that torch is a CUDA "
            "build (python -c 'import torch; print(torch.cuda.is_available())'), or run with --device cpu"
        )
    for name, value in REPEATABLE_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    return torch.device("cuda", 0)  # a pool that pins GPUs makes just this worker's visible
