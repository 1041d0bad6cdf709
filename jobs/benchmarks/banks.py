"""What a frame costs with so many features stored."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import median
from typing import Annotated

import torch

from jobs.benchmarks.recorder import Stage, recorded
from jobs.benchmarks.rows import Column, Section
from jobs.benchmarks.setup import WARM_UP, Setup, Steps
from jobs.benchmarks.workspace import workspace_bytes
from model.bank import BankConfig
from model.matcher import read
from model.segmenter import AUTOCAST, Precision
from model.slots import MOST_POSITIONS, Rows
from model.state import ChannelState

_NOISE = 0.02
"""By which the features that fill a bank differ from the clip's own, as a share of their size."""


@dataclass(frozen=True, kw_only=True)
class BankCost:
    """One size of the bank in one precision."""

    precision: Annotated[Precision, Column("prec.")]
    rows: Annotated[int, Column("rows", ",")]
    """Stored of each channel."""
    seconds: Annotated[float, Column("s/frame", ".3f")]
    """Median."""
    cpu_seconds: Annotated[float, Column("CPU s", ".3f")]
    read_seconds: Annotated[float, Column("read ms", ".0f", scale=1e3)]
    """On a CPU of the processor, as `bank_seconds`."""
    bank_seconds: Annotated[float, Column("bank ms", ".0f", scale=1e3)]
    gflop: Annotated[float, Column("GFLOP", ".0f")]
    workspace_bytes: Annotated[int, Column("read MB", ",.1f", scale=1e-6)]
    """What a read of one channel holds at most, beyond the bank and the frame's features."""
    peak_bytes: Annotated[int, Column("MB", ",.0f", scale=1e-6)]


def by_bank(setup: Setup) -> Section:
    """From what two frames bring to the largest bank asked for."""
    least = 2 * setup.positions
    sizes = sorted({max(least, size) for size in setup.banks})
    rows = [row for precision in setup.precisions for size in sizes for row in _costs(setup, precision, size)]
    return Section(
        name="bank",
        title=f"By features stored of each channel, {setup.size}, {setup.fewest}, every frame memorized",
        rows=rows,
        note="filled with the clip's own features and noise; the frames read all of it, merge, append; read MB: held "
        "at a time by a read of one channel",
    )


def _costs(setup: Setup, precision: Precision, size: int) -> Iterator[BankCost]:
    setup.tell(f"bank of {size:,} features a channel, {precision}")
    clip = setup.clip(setup.num_objects[0])
    channels = 1 + setup.num_objects[0]
    bank = BankConfig(budget=channels * (size + (2 * setup.frames + WARM_UP) * setup.positions))
    run = Steps(setup, clip, setup.segmenter(precision=precision, bank=bank))
    run.step()
    _fill(run, size)
    for _ in range(1 + setup.frames):
        run.step()
    timed = run.spent[2:]
    with recorded(setup.device) as stages:
        run.step()
    yield BankCost(
        precision=precision,
        rows=size,
        seconds=median(spent.seconds for spent in timed),
        cpu_seconds=median(spent.cpu_seconds for spent in timed),
        read_seconds=stages["read"].seconds,
        bank_seconds=stages["bank"].seconds,
        workspace_bytes=read_workspace(setup, precision, size),
        gflop=sum(stages.values(), Stage()).flop / 1e9,
        peak_bytes=max(spent.peak_bytes for spent in timed),
    )


def read_workspace(setup: Setup, precision: Precision, size: int) -> int:
    """Bytes that a read of one channel with so many features holds at most."""
    key_width, value_width = (
        part.out_channels for part in (setup.network.key_value.key, setup.network.key_value.value)
    )
    made = [torch.randn(1, size, width, device=setup.device) for width in (key_width, value_width)]
    query = torch.randn(setup.positions, key_width, device=setup.device)
    dtype = AUTOCAST.get(precision)
    with torch.inference_mode(), torch.autocast(setup.device.type, dtype, enabled=dtype is not None):
        return workspace_bytes(lambda: read(Rows(*made), query), setup.device)


def _fill(run: Steps, size: int) -> None:
    """Let the segmenter go on with `size` rows of each channel."""
    state = run.segmenter.state()
    channels = {channel: _grown(rows, size) for channel, rows in state.bank.channels.items()}
    run.segmenter.restore(replace(state, bank=replace(state.bank, channels=channels)))


def _grown(rows: ChannelState, size: int) -> ChannelState:
    """Its rows over and over; the copies differ by noise, were never used and are not protected."""
    have, place = len(rows.use), torch.arange(size)
    index, copies = place % have, place >= have
    generator = torch.Generator().manual_seed(0)
    key, value = (_noisy(part[index], copies, generator) for part in (rows.key, rows.value))
    return ChannelState(
        key=key,
        value=value,
        order=rows.inserted[index] * MOST_POSITIONS + torch.arange(size),  # no two rows have the same
        use=torch.where(copies, 0.0, rows.use[index]),
        prompt=torch.where(copies, 0, rows.prompt[index]),
    )


def _noisy(values_MC: torch.Tensor, copies_M: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    noise = _NOISE * values_MC.std() * torch.randn(values_MC.shape, generator=generator)
    return values_MC + noise * copies_M[:, None]
