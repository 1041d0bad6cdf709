"""Settings are checked once; those that can change a mask are known."""

from dataclasses import replace
from typing import Any

import pytest

from model.bank import BankConfig
from model.segmenter import SegmenterConfig
from pipeline.errors import InvalidInput
from pipeline.run.config import WorkerConfig
from pipeline.run.ending import EndingConfig
from pipeline.run.ray_cluster import in_ray_cluster


def make_config(segmenter: SegmenterConfig | None = None, **changes: Any) -> WorkerConfig:
    return WorkerConfig(
        output="memory://out",
        checkpoint="untrained",
        checkpoint_fingerprint="f" * 16,
        segmenter=segmenter or SegmenterConfig(),
        **changes,
    )


@pytest.mark.parametrize(
    ("segmenter", "changes"),
    [
        (SegmenterConfig(), {"torch_threads": 0}),
        (SegmenterConfig(), {"queue_frames": 0}),
        (SegmenterConfig(max_side=-1), {}),
        (SegmenterConfig(max_side=15), {}),
        (SegmenterConfig(memory_every=0), {}),
        (SegmenterConfig(object_chunk=0), {}),
        (SegmenterConfig(object_chunk=-1), {}),
        (SegmenterConfig(workspace=0), {}),
        (SegmenterConfig(), {"ending": EndingConfig(stop_when_lost=0)}),
        (SegmenterConfig(bank=BankConfig(budget=0)), {}),
        (SegmenterConfig(bank=BankConfig(merge_threshold=1.01)), {}),
        (SegmenterConfig(bank=BankConfig(merge_threshold=float("nan"))), {}),
        (SegmenterConfig(bank=BankConfig(update_rate=-0.1)), {}),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_name(segmenter: SegmenterConfig, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=r"^\w+ must be .*, not ") as error:
        make_config(segmenter, **changes)
    ending = _changed(EndingConfig(), changes.get("ending", EndingConfig()))
    given = (*changes, *ending, *_changed(SegmenterConfig(), segmenter), *_changed(BankConfig(), segmenter.bank))
    assert str(error.value).split()[0] in given


@pytest.mark.parametrize("gpus", [-1.0, -0.25])
def test_negative_gpus_are_refused(gpus: float) -> None:
    with pytest.raises(InvalidInput, match=rf"^GPUs per worker must not be negative, not {gpus:g}$"):
        make_config(reserved_gpus=gpus)
    assert make_config(reserved_gpus=0.5).reserved_gpus == 0.5


def _changed(default: object, value: object) -> list[str]:
    return [name for name in vars(default) if vars(default)[name] != vars(value)[name]]


@pytest.mark.parametrize(
    "segmenter",
    [
        SegmenterConfig(max_side=0),
        SegmenterConfig(max_side=16),
        SegmenterConfig(object_chunk=1, workspace=1),
        SegmenterConfig(bank=BankConfig(merge_threshold=-1, update_rate=1, budget=1)),
        SegmenterConfig(bank=BankConfig.published()),
    ],
)
def test_the_limits_themselves_are_allowed(segmenter: SegmenterConfig) -> None:
    assert make_config(segmenter).segmenter == segmenter


@pytest.mark.parametrize(
    "other",
    [
        make_config(binary_masks=True),
        make_config(SegmenterConfig(max_side=480)),
        make_config(SegmenterConfig(precision="bf16")),
        make_config(SegmenterConfig(memory_every=5)),
        make_config(SegmenterConfig(refine=False)),
        make_config(ending=EndingConfig(at_cuts="stop")),
        make_config(ending=EndingConfig(stop_when_lost=9)),
        make_config(SegmenterConfig(bank=BankConfig(policy="append"))),
        make_config(SegmenterConfig(bank=BankConfig(budget=50_000))),
        make_config(SegmenterConfig(bank=BankConfig(merge_threshold=0.9))),
    ],
)
def test_what_can_change_a_mask_is_in_the_settings(other: WorkerConfig) -> None:
    assert other.settings() != make_config().settings()


@pytest.mark.parametrize(
    "other",
    [
        make_config(device="cpu"),
        make_config(reserved_gpus=1.0),
        make_config(torch_threads=4),
        make_config(queue_frames=2),
        make_config(SegmenterConfig(object_chunk=1)),
        make_config(SegmenterConfig(workspace=1 << 20)),
        make_config(SegmenterConfig(bank=BankConfig(segment_mean="torch-scatter"))),
        replace(make_config(), output="memory://elsewhere"),
    ],
)
def test_how_it_is_computed_is_not(other: WorkerConfig) -> None:
    assert other.settings() == make_config().settings()


@pytest.mark.parametrize("name", ["RAY_ADDRESS", "RAY_JOB_ID"])
def test_a_ray_cluster_is_known_by_its_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for known in ("RAY_ADDRESS", "RAY_JOB_ID"):
        monkeypatch.delenv(known, raising=False)
    assert not in_ray_cluster()
    monkeypatch.setenv(name, "x")
    assert in_ray_cluster()
