"""The settings and weights that an output was made with, to segment some of its videos again in the same way."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any, TypeVar

import torch

from jobs.terminal.launch import worker_config
from model.bank import BankConfig
from model.network import AFBURR
from model.result import FrameResult, Prompt
from model.segmenter import SegmenterConfig, VideoSegmenter
from pipeline.errors import InvalidInput, InvalidOutput
from pipeline.input.frames import Frame
from pipeline.input.weights import load_network
from pipeline.output import tables
from pipeline.output.runs import read_run, run_ids
from pipeline.run.config import WorkerConfig
from pipeline.run.device import Device, pick_device
from pipeline.run.ending import EndingConfig
from pipeline.run.frame_named import frame_named
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


class SameRuns:
    """Settings and weights of the runs that committed the videos of an output; one run's are in memory."""

    def __init__(self, output: str, device: Device = "auto") -> None:
        """Raises InvalidOutput, StoreUnavailable."""
        self._output, self._device = output, device
        table = tables.open(output, "videos").to_table(columns=["video_id", "run_id"])
        self._run_ids = dict(zip(table["video_id"].to_pylist(), table["run_id"].to_pylist(), strict=True))
        self._run_id: str | None = None

    def of(self, video_id: str) -> tuple[WorkerConfig, AFBURR]:
        """Of a video that is committed. Raises as `same_config` where they are not as they were."""
        run_id = self._run_ids[video_id]
        if self._run_id != run_id:
            self._config = same_config(self._output, run_id=run_id, device=self._device)
            self._network = load_network(self._config.checkpoint).to(pick_device(self._device))
            self._run_id = run_id
        return self._config, self._network


def step(
    segmenter: VideoSegmenter, frame: Frame, prompt: Prompt | None, *, keep_probabilities: bool = False
) -> FrameResult:
    """One frame. Raises OutOfMemory, SegmentationFailed that name it."""
    with frame_named(frame):
        picture = torch.from_numpy(frame.rgb).permute(2, 0, 1)
        return segmenter.step(picture, prompt, keep_probabilities=keep_probabilities)


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
