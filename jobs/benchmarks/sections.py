"""The sections of a benchmark, by name, in the order in which they are measured."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from jobs.benchmarks.banks import by_bank
from jobs.benchmarks.lengths import by_length
from jobs.benchmarks.machine import Machine, rates
from jobs.benchmarks.means import by_mean
from jobs.benchmarks.objects import by_memory, by_objects
from jobs.benchmarks.presets import by_preset
from jobs.benchmarks.rows import Section
from jobs.benchmarks.setup import Setup
from jobs.benchmarks.stages import by_stage
from jobs.benchmarks.workers import by_chain, by_workers
from jobs.benchmarks.writing import by_picture
from pipeline.errors import InvalidInput

_Measure = Callable[[Setup, Section], Section]

SECTIONS: Mapping[str, _Measure] = {
    "stages": by_stage,
    "objects": lambda setup, _: by_objects(setup),
    "memory": lambda setup, _: by_memory(setup),
    "bank": lambda setup, _: by_bank(setup),
    "length": lambda setup, _: by_length(setup),
    "networks": lambda setup, _: by_preset(setup),
    "mean": lambda setup, _: by_mean(setup),
    "writing": lambda setup, _: by_picture(setup),
    "pipeline": lambda setup, _: by_chain(setup),
    "workers": lambda setup, _: by_workers(setup),
}
"""Each gets the rates of the machine too, which are measured whatever is asked for."""


def check_names(names: Sequence[str]) -> None:
    """Raises InvalidInput for what is no section."""
    if unknown := [name for name in names if name not in SECTIONS]:
        raise InvalidInput(f"--only: no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")


def measure(setup: Setup, only: Sequence[str] = ()) -> Iterator[Section]:
    """Section by section, those in `only` or all; the rates come first.

    Raises InvalidInput for a clip that cannot be, InvalidCheckpoint for weights.
    """
    check_names(only)
    setup.tell("rates")
    rated = rates(setup.device, setup.precisions)
    yield rated
    for name, section in SECTIONS.items():
        if not only or name in only:
            yield section(setup, rated)


def as_json(machine: Machine, setup: Setup, sections: Sequence[Section]) -> dict[str, object]:
    """Everything, for a file."""
    settings = {
        name: str(value) if name == "device" else value
        for name, value in vars(setup).items()
        if name not in ("network", "tell")
    }
    return {
        "machine": vars(machine),
        "settings": settings,
        "sections": {section.name: section.as_json() for section in sections},
    }
