"""Where a frame's time goes, by stage, and how far each stage is from what the machine can do."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Annotated

from jobs.benchmarks.recorder import OTHER, STAGES, Stage, recorded
from jobs.benchmarks.rows import Column, Section
from jobs.benchmarks.setup import WARM_UP, Setup, Steps
from model.segmenter import Precision

WHOLE = "whole frame"
_NEXT_TO_NOTHING = 0.01


@dataclass(frozen=True, kw_only=True)
class StageCost:
    """One stage in one precision, mean of a frame."""

    precision: Annotated[Precision, Column("prec.")]
    stage: Annotated[str, Column("stage")]
    seconds: Annotated[float, Column("ms", ".1f", scale=1e3)]
    """On a CPU of the processor. The whole frame's was measured unrecorded and holds what lies between operations."""
    gflop: Annotated[float, Column("GFLOP", ".1f")]
    gflop_per_s: Annotated[float | None, Column("GFLOP/s", ",.0f")]
    """None where next to nothing is multiplied."""
    of_rate: Annotated[float | None, Column("of rate", ".0%")]
    """Share of the rate of 3x3 convolutions in this precision, in the same run."""
    operations: Annotated[float, Column("ops", ",.0f")]
    waits: Annotated[float, Column("waits", ",.0f")]


def by_stage(setup: Setup, rates: Section) -> Section:
    """`rates`: of 3x3 convolutions (`machine.rates`)."""
    rows = [row for rate in rates.rows for row in _stages(setup, rate.precision, rate.gflop_per_s)]
    return Section(
        name="stages",
        title=f"By stage, {setup.size}, {setup.fewest}, every frame memorized",
        rows=rows,
        note="of rate: of the 3x3 convolutions above; ops: operations that compute or copy, about the launches on a "
        "GPU; waits: how often the host would wait for it",
    )


def _stages(setup: Setup, precision: Precision, rate: float) -> Iterator[StageCost]:
    setup.tell(f"stages, {precision}")
    run = Steps(setup, setup.clip(setup.num_objects[0]), setup.segmenter(precision=precision))
    for _ in range(WARM_UP):
        run.step()
    found, plain = dict[str, Stage](), []
    for _ in range(setup.frames):
        run.step()
        plain.append(run.spent[-1].work_seconds)
        with recorded(setup.device) as stages:
            run.step()
        found = {name: found.get(name, Stage()) + stages.get(name, Stage()) for name in (*STAGES, OTHER)}
    for name, stage in found.items():
        if stage.operations:
            yield _cost(precision, name, stage, setup.frames, stage.seconds / setup.frames, rate)
    yield _cost(precision, WHOLE, sum(found.values(), Stage()), setup.frames, median(plain), rate)


def _cost(precision: Precision, name: str, sums: Stage, frames: int, seconds: float, rate: float) -> StageCost:
    gflop = sums.flop / frames / 1e9
    speed = gflop / seconds if gflop > _NEXT_TO_NOTHING else None
    return StageCost(
        precision=precision,
        stage=name,
        seconds=seconds,
        gflop=gflop,
        gflop_per_s=speed,
        of_rate=speed / rate if speed else None,
        operations=sums.operations / frames,
        waits=sums.waits / frames,
    )
