"""How a run is started: which precision `auto` is, before anything is planned, and what is told before it begins."""

import io
from typing import Any

import pytest
import torch
from rich.console import Console

from jobs.terminal import launch
from jobs.terminal.launch import PoolKind, WantedPrecision, resolve_precision, tell_of_precision
from model.segmenter import Precision
from pipeline.errors import InvalidInput
from pipeline.run.device import Device

AMX, NO_AMX = {"avx512_bf16": True, "amx_bf16": True}, {"avx512_bf16": True}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Without a GPU, and no cluster."""
    for name in ("RAY_ADDRESS", "RAY_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return monkeypatch


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda"])
@pytest.mark.parametrize("named", ["fp32", "bf16", "fp16"])
def test_a_precision_that_is_named_stays(machine: pytest.MonkeyPatch, named: WantedPrecision, device: Device) -> None:
    assert resolve_precision(named, device=device, pool="ray", gpus_per_worker=1) == named


@pytest.mark.parametrize("visible", [False, True])
@pytest.mark.parametrize(
    ("device", "pool", "gpus_per_worker", "expected"),
    [
        ("cpu", None, None, "fp32"),
        ("cpu", "ray", 1.0, "fp32"),
        ("cuda", None, None, "bf16"),
        ("cuda", "ray", None, "bf16"),
        ("auto", "ray", 1.0, "bf16"),
        ("auto", "ray", 0.5, "bf16"),
        ("auto", "ray", 0.0, "fp32"),
        ("auto", "local", 1.0, "bf16"),
    ],
)
def test_auto_follows_what_is_asked_for_and_not_what_the_driver_sees(
    machine: pytest.MonkeyPatch,
    device: Device,
    pool: PoolKind | None,
    gpus_per_worker: float | None,
    expected: str,
    visible: bool,
) -> None:
    machine.setattr(torch.cuda, "is_available", lambda: visible)
    assert resolve_precision("auto", device=device, pool=pool, gpus_per_worker=gpus_per_worker) == expected


@pytest.mark.parametrize(("visible", "expected"), [(False, "fp32"), (True, "bf16")])
@pytest.mark.parametrize(("pool", "workers"), [(None, None), ("local", None), ("ray", None), (None, 4)])
def test_where_all_is_open_on_one_machine_it_is_what_the_machine_has(
    machine: pytest.MonkeyPatch, pool: PoolKind | None, workers: int | None, visible: bool, expected: str
) -> None:
    """There the workers see the driver's GPUs."""
    machine.setattr(torch.cuda, "is_available", lambda: visible)
    assert resolve_precision("auto", device="auto", pool=pool, workers=workers) == expected


@pytest.mark.parametrize("pool", [None, "ray"])
def test_what_a_cluster_will_give_is_not_guessed(machine: pytest.MonkeyPatch, pool: PoolKind | None) -> None:
    machine.setenv("RAY_ADDRESS", "auto")
    with pytest.raises(InvalidInput, match=r"--gpus-per-worker or --device"):
        resolve_precision("auto", device="auto", pool=pool)
    assert resolve_precision("auto", device="auto", pool=pool, gpus_per_worker=1) == "bf16"


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
