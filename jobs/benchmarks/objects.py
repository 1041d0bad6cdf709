"""What a frame costs by number of objects, precision, and how often it is memorized."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean, median
from typing import Annotated

from jobs.benchmarks.recorder import Stage, recorded
from jobs.benchmarks.rows import Column, Section
from jobs.benchmarks.setup import WARM_UP, Setup, Steps
from model.metrics import SequenceScorer, mean_scores
from model.segmenter import Precision

_EVERY = (1, 5)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One number of objects in one precision."""

    num_objects: Annotated[int, Column("objects")]
    precision: Annotated[Precision, Column("prec.")]
    seconds: Annotated[float, Column("s/frame", ".3f")]
    """Median."""
    cpu_seconds: Annotated[float, Column("CPU s", ".3f")]
    """Median; of the processor, for which others wait too."""
    speedup: Annotated[float, Column("speed", ".2f")]
    """By processor time on a CPU, else by the wall; how many times as fast as fp32."""
    gflop: Annotated[float, Column("GFLOP", ".0f")]
    operations: Annotated[int, Column("ops", ",")]
    waits: Annotated[int, Column("waits", ",")]
    page_faults: Annotated[int, Column("faults", ",")]
    """Median."""
    bank_rows: Annotated[int, Column("rows", ",")]
    """Of all channels together, at the end."""
    peak_bytes: Annotated[int, Column("MB", ",.0f", scale=1e-6)]
    J_to_fp32: Annotated[float, Column("J", ".3f")]
    """Mean J of the masks against those of fp32."""


def by_objects(setup: Setup) -> Section:
    """Precisions take turns frame by frame, so that what else the machine does slows all of them."""
    return Section(
        name="objects",
        title=f"By number of objects, {setup.size}, every frame memorized",
        rows=[cost for number in setup.num_objects for cost in _told(setup, number)],
        note="speed and J (of masks) are against fp32; waits: how often the host would wait for a GPU; faults: pages "
        "mapped anew; MB: the most held so far (on a GPU in a frame)",
    )


def _told(setup: Setup, num_objects: int) -> Iterator[Cost]:
    setup.tell(f"{num_objects} objects")
    return costs(setup, num_objects)


def costs(setup: Setup, num_objects: int) -> Iterator[Cost]:
    """Of one network, a precision each."""
    clip = setup.clip(num_objects)
    runs = [Steps(setup, clip, setup.segmenter(precision=precision)) for precision in setup.precisions]
    scorers = [SequenceScorer() for _ in runs]
    for _ in range(WARM_UP + setup.frames):
        for run, scorer in zip(runs, scorers, strict=True):
            run.step()
            scorer.add(run.result.labels, runs[0].result.labels, prompted=run.result.prompted)
    for precision, run, scorer in zip(setup.precisions, runs, scorers, strict=True):
        timed = run.spent[WARM_UP:]
        with recorded(setup.device) as stages:  # one more, for recording takes time
            run.step()
        whole = sum(stages.values(), Stage())
        yield Cost(
            num_objects=num_objects,
            precision=precision,
            seconds=median(spent.seconds for spent in timed),
            cpu_seconds=median(spent.cpu_seconds for spent in timed),
            speedup=_median_work(runs[0]) / _median_work(run),
            gflop=whole.flop / 1e9,
            operations=whole.operations,
            waits=whole.waits,
            page_faults=int(median(spent.page_faults for spent in timed)),
            bank_rows=run.result.bank.size,
            peak_bytes=max(spent.peak_bytes for spent in timed),
            J_to_fp32=mean_scores(scorer.all_frames()).J,
        )


def _median_work(run: Steps) -> float:
    return median(spent.work_seconds for spent in run.spent[WARM_UP:-1])


@dataclass(frozen=True, kw_only=True)
class Memory:
    """One precision, memorizing every n-th frame."""

    precision: Annotated[Precision, Column("prec.")]
    memory_every: Annotated[int, Column("every")]
    seconds: Annotated[float, Column("s/frame", ".3f")]
    """Mean over whole rounds of `memory_every` frames."""
    cpu_seconds: Annotated[float, Column("CPU s", ".3f")]
    speedup: Annotated[float, Column("speed", ".2f")]
    """Against every frame in the same precision."""
    bank_rows: Annotated[int, Column("rows", ",")]


def by_memory(setup: Setup) -> Section:
    """Memorizing every frame and every fifth, taking turns."""
    rows = [row for precision in setup.precisions for row in _memories(setup, precision)]
    title = f"By how often a frame is memorized, {setup.size}, {setup.fewest}"
    return Section(name="memory", title=title, rows=rows, note="speed is against every frame in the same precision")


def _memories(setup: Setup, precision: Precision) -> Iterator[Memory]:
    setup.tell(f"memory, {precision}")
    clip = setup.clip(setup.num_objects[0])
    runs = [Steps(setup, clip, setup.segmenter(precision=precision, memory_every=every)) for every in _EVERY]
    number = -(-setup.frames // max(_EVERY)) * max(_EVERY)
    for _ in range(WARM_UP + number):
        for run in runs:
            run.step()
    for every, run in zip(_EVERY, runs, strict=True):
        timed = run.spent[WARM_UP:]
        yield Memory(
            precision=precision,
            memory_every=every,
            seconds=fmean(spent.seconds for spent in timed),
            cpu_seconds=fmean(spent.cpu_seconds for spent in timed),
            speedup=_mean_work(runs[0]) / _mean_work(run),
            bank_rows=run.result.bank.size,
        )


def _mean_work(run: Steps) -> float:
    return fmean(spent.work_seconds for spent in run.spent[WARM_UP:])
