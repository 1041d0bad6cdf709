"""Several workers through Ray Train learn what one worker learns."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from model.checkpoint import from_bytes, read_card
from model.network import untrained
from tests.jobs.material import trainable, write_stills

pytestmark = [pytest.mark.ray, pytest.mark.slow]

ROOT = Path(__file__).parents[3]
SIZES = ("--batch", "3", "--frames", "2", "--side", "32", "--precision", "fp32", "--init", "untrained")


def train(output: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """On the CPU, in processes of their own: Ray's workers are started by the first of them."""
    call = [sys.executable, "-m", "jobs.train", str(output), *SIZES, *arguments]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    return subprocess.run(call, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)


def weights(output: Path) -> dict[str, torch.Tensor]:
    return from_bytes((output / "last.safetensors").read_bytes(), "last").state_dict()


def flat(state: dict[str, torch.Tensor]) -> torch.Tensor:
    """All floating point numbers of a network in one row."""
    return torch.cat([value.double().flatten() for value in state.values() if value.is_floating_point()])


def losses(output: Path) -> list[float]:
    """Of every step."""
    state = torch.load(output / "state.pt", weights_only=True)
    return [step["total"] for step in state["recent"]]


def test_two_workers_learn_as_one(tmp_path: Path) -> None:
    """Three clips a step: one worker has two of them, the other one."""
    stills = str(write_stills(tmp_path / "stills", trainable(3)))
    arguments = ("--stills", stills, "--steps", "5", "--save-every", "2", "--learning-rate", "1e-3")
    alone, together = tmp_path / "alone", tmp_path / "together"
    for output, more in ((alone, ()), (together, ("--workers", "2"))):
        done = train(output, *arguments, *more)
        assert done.returncode == 0, done.stderr
        assert "step 5 of 5: total " in done.stdout
    assert losses(together) == pytest.approx(losses(alone), rel=1e-4)
    found, expected, start = flat(weights(together)), flat(weights(alone)), flat(untrained().state_dict())
    assert float((expected - start).abs().max()) > 1e-4
    # Against what was learnt as a whole: AdamW divides by the gradient's size, so where that is close to zero, the
    # order of a sum shows in single weights.
    assert float((found - expected).norm() / (expected - start).norm()) < 0.01
    assert read_card((together / "last.safetensors").read_bytes(), "last")["steps"] == "5"


def test_what_a_worker_cannot_use_is_named_and_exits_with_2(tmp_path: Path) -> None:
    done = train(tmp_path / "out", "--stills", str(tmp_path / "gone"), "--steps", "1", "--workers", "2")
    assert done.returncode == 2
    assert "error: no pictures in" in done.stderr
