"""What cannot be worked with is refused, by name."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from model.errors import NonFinite, OutOfMemory
from model.result import Prompt
from model.segmenter import VideoSegmenter
from tests.model.builders import (
    ScriptedNetwork,
    blank,
    box,
    clip,
    copy_of,
    network,
    prompt,
    segmenter,
)


def poisoned(part: str) -> VideoSegmenter:
    used = copy_of(network())
    with torch.no_grad():
        used.get_parameter(part)[..., 0] = math.nan
    return segmenter(used)


@pytest.mark.parametrize("part", ["reference_encoder.mask_stem.bias", "key_value.key.bias", "key_value.value.weight"])
def test_features_that_are_no_numbers_are_refused(part: str) -> None:
    frames, labels = clip(1)
    with pytest.raises(NonFinite, match="not finite"):
        poisoned(part).step(frames[0], prompt(labels[0]))


@pytest.mark.parametrize("part", ["query_encoder.trunk.conv_stem.bias", "decoder.pred.bias"])
def test_scores_that_are_no_numbers_are_refused(part: str) -> None:
    frames, labels = clip(2)
    runner = poisoned(part)
    runner.step(frames[0], prompt(labels[0]))
    with pytest.raises(NonFinite, match="scores are not finite"):
        runner.step(frames[1])


@pytest.mark.parametrize(
    "frame",
    [
        torch.zeros(3, 64, 96),
        torch.zeros(64, 96, 3, dtype=torch.uint8),
        torch.zeros(1, 3, 64, 96, dtype=torch.uint8),
        torch.zeros(64, 96, dtype=torch.uint8),
    ],
    ids=["float", "channels last", "batch", "grey"],
)
def test_a_frame_of_another_kind_is_refused(frame: Tensor) -> None:
    with pytest.raises(ValueError, match="RGB uint8"):
        segmenter().step(frame)


@pytest.mark.parametrize(
    "wrong",
    [prompt(box(0, 9, 0, 9, size=(63, 96))), prompt(box(0, 9, 0, 9, size=(96, 64)))],
    ids=["smaller", "turned"],
)
def test_a_prompt_of_another_size_is_refused(wrong: Prompt) -> None:
    with pytest.raises(ValueError, match=r"64, 96"):
        segmenter().step(blank(1)[0], wrong)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int64, np.float32, np.bool_])
def test_prompt_labels_of_another_type_are_refused(kind: Any) -> None:
    runner = segmenter()
    given: Any = box(0, 9, 0, 9).astype(kind)
    with pytest.raises(ValueError, match=rf"int32, not {np.dtype(kind)}"):
        runner.step(blank(1)[0], Prompt(labels=given, object_ids=(1,)))
    assert runner.step(blank(1)[0], prompt(box(0, 9, 0, 9))).prompted


@pytest.mark.parametrize("ids", [(), (0, 1), (1, 255)])
def test_a_prompt_speaks_for_objects_only(ids: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="never for 0"):
        segmenter().step(blank(1)[0], Prompt(labels=box(0, 9, 0, 9), object_ids=ids))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory: you tried"),
        MemoryError(),
    ],
    ids=["CUDA", "CPU", "Python"],
)
@pytest.mark.parametrize("part", ["segment", "memorize"])
def test_running_out_of_memory_has_its_own_error(error: Exception, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutOfMemory) as raised:
        break_down(error, part, monkeypatch)
    assert raised.value.__cause__ is error


def test_other_errors_of_the_network_pass_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    error = RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED")
    with pytest.raises(RuntimeError) as raised:
        break_down(error, "segment", monkeypatch)
    assert raised.value is error


def break_down(error: Exception, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network fails in the second frame."""
    frames, labels = clip(2)
    used = ScriptedNetwork()
    runner = segmenter(used)
    runner.step(frames[0], prompt(labels[0]))

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(used, part, fail)
    runner.step(frames[1])
