"""What each part of the method is worth, as one table.

Each variant changes one setting, segments the manifests into a folder of its own below OUTPUT and is scored; a second
call goes on with what is missing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow.compute as pc
from rich.console import Console

from jobs.evaluation.scores import Protocol
from jobs.evaluation.scoring import evaluate
from jobs.terminal.launch import segment, worker_config
from model.bank import BankConfig
from model.metrics import mean_scores
from model.segmenter import SegmenterConfig
from pipeline.errors import InvalidInput
from pipeline.input.manifest import NOTHING_ELSE, read_manifest
from pipeline.input.origin import Allowed
from pipeline.output import tables
from pipeline.storage.store import Store

_EVERYTHING = 10_000_000
"""A budget that no clip fills: nothing is evicted."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One row of the table."""

    about: str
    segmenter: SegmenterConfig
    checkpoint: str


def variants(base: SegmenterConfig, checkpoint: str, *, without_confidence: str | None = None) -> dict[str, Variant]:
    """By name, which is a folder: the defaults first, then one change at a time.

    `without_confidence`: a network trained as `checkpoint` was, but without the confidence loss.
    """

    def bank(**changes: object) -> SegmenterConfig:
        return replace(base, bank=replace(base.bank, **changes))  # type: ignore[arg-type]

    endless = bank(policy="append", budget=_EVERYTHING)
    settings = {
        "default": ("the defaults", base),
        "first-last": ("no bank: first and latest frame", bank(policy="first_last")),
        "every-5th": ("every 5th frame, all appended", replace(endless, memory_every=5)),
        "every-5th-merged": ("every 5th frame", replace(base, memory_every=5)),
        "append": ("every frame, all appended", endless),
        "no-eviction": ("nothing evicted", bank(budget=_EVERYTHING)),
        "budget-10k": ("budget 10,000", bank(budget=10_000)),
        "merge-0.80": ("merge above 0.80", bank(merge_threshold=0.80)),
        "merge-0.90": ("merge above 0.90", bank(merge_threshold=0.90)),
        "merge-0.98": ("merge above 0.98", bank(merge_threshold=0.98)),
        "rate-0.05": ("update rate 0.05", bank(update_rate=0.05)),
        "published": ("bank as published", replace(base, bank=BankConfig.published())),
        "no-refine": ("no uncertain-region refinement", replace(base, refine=False)),
    }
    found = {name: Variant(about=about, segmenter=s, checkpoint=checkpoint) for name, (about, s) in settings.items()}
    if without_confidence is not None:
        found["no-confidence"] = Variant(about="no confidence loss", segmenter=base, checkpoint=without_confidence)
    return found


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What the variants are scored on."""

    manifest: str
    truth: str
    allowed: Allowed = NOTHING_ELSE


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a variant scores on a dataset."""

    J_and_F: float
    bank_rows: float
    """Mean over the frames, of all channels together."""
    uncertainty_correlation: float | None
    """Of an object-frame's uncertainty with 1 - J."""


def chosen(found: dict[str, Variant], only: Sequence[str]) -> dict[str, Variant]:
    """The variants of these names, all where none is given. Raises InvalidInput for an unknown one."""
    if unknown := set(only) - set(found):
        raise InvalidInput(f"--only: no variant {', '.join(sorted(unknown))}; there are {', '.join(found)}")
    return {name: variant for name, variant in found.items() if not only or name in only}


def ablate(
    output: str, wanted: Mapping[str, Variant], datasets: Sequence[Dataset], console: Console
) -> dict[str, list[Result]]:
    """The results of every variant by its name, in the order of the datasets.

    Raises:
        PipelineError: a video could not be segmented or scored.
    """
    return {
        name: [
            _result(Store(output).url_of(f"{name}/{number}"), variant, dataset, console)
            for number, dataset in enumerate(datasets)
        ]
        for name, variant in wanted.items()
    }


def _result(output: str, variant: Variant, dataset: Dataset, console: Console) -> Result:
    console.print(f"{variant.about}: {dataset.manifest}")
    tasks = read_manifest(dataset.manifest, dataset.allowed)
    config = worker_config(output=output, checkpoint=variant.checkpoint, segmenter=variant.segmenter)
    summary = segment(tasks, config, console=console, pool="local")
    for video_id, failure in summary.failed.items():
        raise InvalidInput(f"{video_id} of {dataset.manifest} could not be segmented: {failure.message}")
    evaluation = evaluate(output, dataset.truth, protocol=Protocol.ALL_FRAMES)
    rows = tables.open(output, "frames").to_table(columns=["bank_size"])["bank_size"]
    return Result(
        J_and_F=mean_scores(evaluation.objects).J_and_F,
        bank_rows=pc.mean(rows).as_py(),
        uncertainty_correlation=evaluation.uncertainty_correlation,
    )


def markdown(wanted: Mapping[str, Variant], results: Mapping[str, Sequence[Result]]) -> str:
    """One row a variant; for each dataset J&F, the bank's rows and the correlation of the uncertainty."""
    count = len(next(iter(results.values())))
    header = "| variant |" + " J&F | rows | U |" * count
    lines = [header, "|---|" + "---:|" * 3 * count]
    for name, found in results.items():
        lines.append(f"| {wanted[name].about} |" + "".join(_cells(result) for result in found))
    return "\n".join(lines) + "\n"


def _cells(result: Result) -> str:
    correlation = "" if result.uncertainty_correlation is None else f"{result.uncertainty_correlation:.2f}"
    return f" {result.J_and_F:.3f} | {result.bank_rows:,.0f} | {correlation} |"
