"""The settings that an output was made with, to segment some of its videos again in the same way."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any, TypeVar

from jobs.terminal.launch import worker_config
from model.bank import BankConfig
from model.segmenter import SegmenterConfig
from pipeline.errors import InvalidInput, InvalidOutput
from pipeline.output.runs import read_run, run_ids
from pipeline.run.config import WorkerConfig
from pipeline.run.device import Device
from pipeline.run.ending import EndingConfig
from pipeline.storage.store import Store

T = TypeVar("T")


def same_config(
    output: str, *, run_id: str | None = None, checkpoint: str | None = None, device: Device = "auto"
) -> WorkerConfig:
    """As a run of `output` had it, by default the newest; it still names that output.

    `checkpoint`: where the same weights lie now. Raises InvalidInput where no run is recorded or the weights are
    others, InvalidOutput for a record of another version, InvalidCheckpoint, StoreUnavailable.
    """
    store = Store(output)
    known = _recorded(store, run_id)
    try:
        segmenter = _of(SegmenterConfig, {**_section(known, "segmenter"), "bank": _bank(known)})
        config = worker_config(
            output=output,
            checkpoint=checkpoint or str(known["checkpoint"]),
            segmenter=segmenter,
            ending=_of(EndingConfig, _section(known, "ending")),
            device=device,
        )
    except (LookupError, TypeError) as error:
        raise InvalidOutput(f"{output}: its run was recorded by another version ({error})") from error
    _check_weights(config, known, output)
    given = {
        name: known[name]
        for name in ("both_ways", "binary_masks", "box_masks", "max_pixels", "torch_threads")
        if name in known
    }
    return replace(config, **given)  # type: ignore[arg-type]


def _recorded(store: Store, run_id: str | None) -> Mapping[str, object]:
    run_id = run_id or next(reversed(run_ids(store)), None)
    if run_id is not None:
        with suppress(FileNotFoundError):
            return read_run(store, run_id).config
    which = "no run" if run_id is None else f"nothing of run {run_id}"
    raise InvalidInput(f"{store.url}: records {which}: `vos-batch segment` writes that anew")


def _check_weights(config: WorkerConfig, known: Mapping[str, object], output: str) -> None:
    if config.checkpoint_fingerprint != known.get("checkpoint_fingerprint"):
        raise InvalidInput(
            f"{output} was made with weights {known.get('checkpoint_fingerprint')}, {config.checkpoint} holds "
            f"{config.checkpoint_fingerprint}: name the file of those with --checkpoint"
        )


def _section(known: Mapping[str, object], name: str) -> dict[str, Any]:
    found = known[name]
    if not isinstance(found, dict):
        raise TypeError(f"{name} is {found!r}")
    return found


def _bank(known: Mapping[str, object]) -> BankConfig:
    return _of(BankConfig, _section(_section(known, "segmenter"), "bank"))


def _of(kind: type[T], values: Mapping[str, Any]) -> T:
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in values.items() if name in names})
