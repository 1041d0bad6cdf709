"""What is told about a run before it begins."""

import io
from typing import Any

import pytest
import torch
from rich.console import Console

from jobs.terminal import launch
from jobs.terminal.launch import tell_of_precision
from model.segmenter import Precision
from pipeline.run.device import Device

AMX, NO_AMX = {"avx512_bf16": True, "amx_bf16": True}, {"avx512_bf16": True}


@pytest.mark.parametrize(
    ("precision", "device", "units", "has_gpu", "in_cluster", "told"),
    [
        ("bf16", "cpu", NO_AMX, False, False, True),
        ("bf16", "auto", NO_AMX, False, False, True),
        ("bf16", "cpu", NO_AMX, True, False, True),
        ("bf16", "cpu", AMX, False, False, False),
        ("fp32", "cpu", NO_AMX, False, False, False),
        ("bf16", "auto", NO_AMX, True, False, False),
        ("bf16", "cuda", NO_AMX, True, False, False),
        ("bf16", "cpu", NO_AMX, False, True, False),
    ],
)
def test_who_asks_for_bf16_hears_where_fp32_is_faster(
    monkeypatch: pytest.MonkeyPatch,
    precision: Precision,
    device: Device,
    units: dict[str, Any],
    has_gpu: bool,
    in_cluster: bool,
    told: bool,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: units)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    monkeypatch.setattr(launch, "in_ray_cluster", lambda: in_cluster)
    shown = io.StringIO()
    tell_of_precision(precision, device, Console(file=shown, width=120))
    assert ("fp32, the default, is faster here" in shown.getvalue()) == told
