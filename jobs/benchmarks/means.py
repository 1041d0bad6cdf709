"""What computes the means of merges: torch, or torch-scatter where it is built."""

import importlib.util
import time
from dataclasses import dataclass
from typing import Annotated

import torch

from jobs.benchmarks.rows import Column, Section
from jobs.benchmarks.setup import Setup
from model.ops import SegmentMeanBackend, segment_mean

_TARGETS = 500
_ROUNDS = 20


@dataclass(frozen=True, kw_only=True)
class MeanCost:
    """One backend."""

    backend: Annotated[SegmentMeanBackend, Column("backend")]
    seconds: Annotated[float, Column("ms", ".3f", scale=1e3)]
    """Of the least of several rounds."""
    largest_difference: Annotated[float, Column("difference", ".0e")]
    """Of any mean from torch's."""


def by_mean(setup: Setup) -> Section:
    """Means of one frame's values over the rows that they merge with."""
    setup.tell("means of merges")
    generator = torch.Generator().manual_seed(0)
    width = setup.network.key_value.value.out_channels
    values = torch.randn(1, setup.positions, width, generator=generator).to(setup.device)
    index = torch.randint(_TARGETS, (1, setup.positions), generator=generator).to(setup.device)
    backends: list[SegmentMeanBackend] = ["torch"]
    if importlib.util.find_spec("torch_scatter"):
        backends.append("torch-scatter")
    rows = [_cost(backend, values, index) for backend in backends]
    missing = "" if len(rows) > 1 else "torch-scatter is not here: make scatter builds it (--segment-mean)"
    title = f"Means of merges: {setup.positions:,} features of {width} values to {_TARGETS} rows"
    return Section(name="mean", title=title, rows=rows, note=missing)


def _cost(backend: SegmentMeanBackend, values: torch.Tensor, index: torch.Tensor) -> MeanCost:
    expected, found = (segment_mean(values, index, name)[0] for name in ("torch", backend))
    return MeanCost(
        backend=backend,
        seconds=min(_seconds(backend, values, index) for _ in range(_ROUNDS)),
        largest_difference=float((found - expected).abs().max()),
    )


def _seconds(backend: SegmentMeanBackend, values: torch.Tensor, index: torch.Tensor) -> float:
    began = time.perf_counter()
    segment_mean(values, index, backend)
    if values.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - began
