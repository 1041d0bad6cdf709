"""What a frame costs with each kind of network, whatever its weights."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

from jobs.benchmarks.objects import costs
from jobs.benchmarks.rows import Column, Section
from jobs.benchmarks.setup import Setup
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
    for cost in costs(replace(setup, network=untrained(preset).to(setup.device)), setup.num_objects[0]):
        yield PresetCost(
            preset=preset,
            precision=cost.precision,
            seconds=cost.seconds,
            cpu_seconds=cost.cpu_seconds,
            gflop=cost.gflop,
            speedup=cost.speedup,
        )
