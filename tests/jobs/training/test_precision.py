from typing import Any

import pytest
import torch

from jobs.training.precision import fastest_precision


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ({}, "fp32"),
        ({"avx2": True, "amx_bf16": False}, "fp32"),
        ({"avx512_bf16": True}, "fp32"),
        ({"avx512_bf16": True, "amx_bf16": True}, "bf16"),
        ({"bf16": 1}, "bf16"),
    ],
)
def test_a_processor_without_units_that_pay_for_bf16_learns_in_fp32(
    monkeypatch: pytest.MonkeyPatch, units: dict[str, Any], expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: units)
    assert fastest_precision() == expected


@pytest.mark.parametrize("has_units", [True, False])
def test_a_gpu_decides_where_there_is_one(monkeypatch: pytest.MonkeyPatch, has_units: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: has_units)
    assert (fastest_precision() == "bf16") == has_units
