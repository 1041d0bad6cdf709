"""What a benchmark ran on, and how fast that is at what networks mostly do: 3x3 convolutions, channels side by side."""

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F

from jobs.benchmarks.rows import Column, Section
from model.segmenter import AUTOCAST, Precision

_CHANNELS, _HEIGHT, _WIDTH = 64, 120, 214
"""As the decoder has at a quarter of 480 x 854."""
_ROUNDS = 4


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where the numbers are from."""

    processor: str
    cores: int
    gpu: str | None
    torch: str
    torch_threads: int

    def __str__(self) -> str:
        gpu = f"{self.gpu}, " if self.gpu else ""
        return (
            f"{gpu}{self.processor}, {self.cores} cores, torch {self.torch} with {self.torch_threads} "
            f"{'thread' if self.torch_threads == 1 else 'threads'}"
        )


def this_machine(device: torch.device) -> Machine:
    """The one that this runs on."""
    return Machine(
        processor=_processor(),
        cores=num_cores(),
        gpu=torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        torch=torch.__version__,
        torch_threads=torch.get_num_threads(),
    )


def num_cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    """Its name and, where the system tells, what of it matters for lower precisions."""
    said = Path("/proc/cpuinfo")
    lines = dict(line.split(":", 1) for line in said.read_text().splitlines() if ":" in line) if said.exists() else {}
    found = {name.strip(): value.strip() for name, value in lines.items()}
    able = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in found.get("flags", "").split()]
    name = found.get("model name") or platform.processor() or platform.machine()
    return f"{name} ({able[-1]})" if able else name


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Of one precision."""

    precision: Annotated[Precision, Column("prec.")]
    gflop_per_s: Annotated[float, Column("GFLOP/s", ",.0f")]


def rates(device: torch.device, precisions: tuple[Precision, ...]) -> Section:
    """The rate of 3x3 convolutions, in each precision: what the network's stages are held against."""
    found = [Rate(precision=precision, gflop_per_s=_rate(device, precision)) for precision in precisions]
    title = f"3x3 convolutions of {_CHANNELS} channels at {_HEIGHT} x {_WIDTH}"
    return Section(name="rates", title=title, rows=found)


def _rate(device: torch.device, precision: Precision) -> float:
    dtype = AUTOCAST.get(precision, torch.float32)
    x = torch.ones(1, _CHANNELS, _HEIGHT, _WIDTH, device=device, dtype=dtype)
    weight = torch.ones(_CHANNELS, _CHANNELS, 3, 3, device=device, dtype=dtype)
    x, weight = (part.contiguous(memory_format=torch.channels_last) for part in (x, weight))
    flop = 2 * 9 * _CHANNELS**2 * _HEIGHT * _WIDTH
    with torch.inference_mode():
        return flop / min(_seconds(x, weight) for _ in range(_ROUNDS)) / 1e9


def _seconds(x: torch.Tensor, weight: torch.Tensor) -> float:
    """Of one convolution, as a mean of several, for one is short."""
    number = 4
    clock = _gpu_now if x.is_cuda else time.process_time
    began = clock()
    for _ in range(number):
        F.conv2d(x, weight, padding=1)
    return (clock() - began) / number


def _gpu_now() -> float:
    torch.cuda.synchronize()
    return time.perf_counter()
