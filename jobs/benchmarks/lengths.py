"""What a frame costs late in a long video: the bank fills, and from then on nothing may grow."""

from dataclasses import dataclass
from statistics import median
from typing import Annotated

from jobs.benchmarks.material import material
from jobs.benchmarks.rows import Column, Section
from jobs.benchmarks.setup import Setup, Steps
from model.bank import BankConfig

_HEIGHT, _WIDTH = 128, 160
"""Small, so that many frames take little time; the bank is small in proportion."""
_CLIP_FRAMES = 112


@dataclass(frozen=True, kw_only=True)
class WindowCost:
    """A stretch of frames."""

    first: Annotated[int, Column("from", ",")]
    last: Annotated[int, Column("to", ",")]
    cpu_seconds: Annotated[float, Column("CPU ms", ".1f", scale=1e3)]
    """Median of a frame; on a GPU by the wall."""
    of_full: Annotated[float | None, Column("of the first full", ".2f")]
    """Against the first stretch that began with a full bank; None before it."""
    bank_rows: Annotated[int, Column("rows", ",")]
    """Of all channels together, at its end."""


def by_length(setup: Setup) -> Section:
    """One long run, in stretches."""
    setup.tell(f"{setup.long_frames:,} frames")
    clip = material(_HEIGHT, _WIDTH, num_objects=setup.num_objects[0], num_frames=_CLIP_FRAMES)
    run = Steps(setup, clip, setup.segmenter(bank=BankConfig(budget=setup.long_budget)))
    rows: list[WindowCost] = []
    full: float | None = None
    for first in range(0, setup.long_frames, setup.long_window):
        was_full = bool(rows) and rows[-1].bank_rows >= 0.95 * setup.long_budget
        for _ in range(setup.long_window):
            run.step()
        cost = median(spent.work_seconds for spent in run.spent[-setup.long_window :])
        full = full or (cost if was_full else None)
        rows.append(
            WindowCost(
                first=first,
                last=first + setup.long_window - 1,
                cpu_seconds=cost,
                of_full=cost / full if full else None,
                bank_rows=run.result.bank.size,
            )
        )
    return Section(
        name="length",
        title=f"By length of a video, {_HEIGHT} x {_WIDTH}, {setup.fewest}, at most {setup.long_budget:,} features",
        rows=rows,
        note="a column that stays at 1: a frame costs the same however long the video is",
    )
