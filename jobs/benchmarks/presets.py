"""What a frame costs with each kind of network, whatever its weights."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import median
from typing import Annotated

from jobs.benchmarks.recorder import Stage, recorded
from jobs.benchmarks.rows import Column, Section
from jobs.benchmarks.setup import WARM_UP, Setup, Steps
from model.network import PRESETS, untrained
from model.segmenter import Precision


@dataclass(frozen=True, kw_only=True)
class PresetCost:
    """One network in one precision."""

    preset: Annotated[str, Column("network")]
    precision: Annotated[Precision, Column("prec.")]
    seconds: Annotated[float, Column("s/frame", ".3f")]
    """Median."""
    cpu_seconds: Annotated[float, Column("CPU s", ".3f")]
    gflop: Annotated[float, Column("GFLOP", ".0f")]
    speedup: Annotated[float, Column("speed", ".2f")]
    """Against fp32 with the same network."""


def by_preset(setup: Setup) -> Section:
    """Random weights: those of `resnet50` are the user's own."""
    return Section(
        name="networks",
        title=f"By network, random weights, {setup.size}, {setup.fewest}, every frame memorized",
        rows=[cost for preset in PRESETS for cost in _costs(setup, preset)],
        note="speed is against fp32 with the same network",
    )


def _costs(setup: Setup, preset: str) -> Iterator[PresetCost]:
    setup.tell(f"network {preset}")
    setup = replace(setup, network=untrained(preset).to(setup.device))
    clip = setup.clip(setup.num_objects[0])
    runs = [Steps(setup, clip, setup.segmenter(precision=precision)) for precision in setup.precisions]
    for _ in range(WARM_UP + setup.frames):
        for run in runs:
            run.step()
    works = [median(spent.work_seconds for spent in run.spent[WARM_UP:]) for run in runs]
    for precision, run, work in zip(setup.precisions, runs, works, strict=True):
        timed = run.spent[WARM_UP:]
        with recorded(setup.device) as stages:
            run.step()
        yield PresetCost(
            preset=preset,
            precision=precision,
            seconds=median(spent.seconds for spent in timed),
            cpu_seconds=median(spent.cpu_seconds for spent in timed),
            gflop=sum(stages.values(), Stage()).flop / 1e9,
            speedup=works[0] / work,
        )
