"""The sections on a small clip: what is counted is checked, times only have to be there."""

import json
from dataclasses import replace
from typing import Any

import pytest

from jobs.benchmarks.banks import read_workspace
from jobs.benchmarks.machine import Rate, this_machine
from jobs.benchmarks.rows import Section
from jobs.benchmarks.sections import SECTIONS, as_json, measure
from jobs.benchmarks.setup import Setup
from jobs.benchmarks.stages import WHOLE
from pipeline.errors import InvalidInput

RATES = Section(
    name="rates", title="", rows=[Rate(precision="fp32", gflop_per_s=200.0), Rate(precision="bf16", gflop_per_s=50.0)]
)


def section(setup: Setup, name: str) -> Section:
    found = SECTIONS[name](setup, RATES)
    assert found.name == name
    return found


@pytest.fixture(scope="module")
def objects(setup: Setup) -> dict[tuple[int, str], Any]:
    return {(row.num_objects, row.precision): row for row in section(setup, "objects").rows}


class TestObjects:
    def test_a_row_for_every_number_of_objects_and_precision(self, objects: dict[tuple[int, str], Any]) -> None:
        assert list(objects) == [(1, "fp32"), (1, "bf16"), (3, "fp32"), (3, "bf16")]
        for row in objects.values():
            assert row.seconds > 0 and row.cpu_seconds > 0 and row.peak_bytes > 10**7

    def test_precisions_are_held_against_fp32(self, objects: dict[tuple[int, str], Any]) -> None:
        fp32, bf16 = objects[3, "fp32"], objects[3, "bf16"]
        assert (fp32.speedup, fp32.J_to_fp32) == (1, 1)
        assert 0.5 < bf16.J_to_fp32 <= 1
        assert bf16.speedup > 0
        assert bf16.gflop == pytest.approx(fp32.gflop, rel=0.1)

    def test_work_grows_with_objects(self, objects: dict[tuple[int, str], Any]) -> None:
        one, three = objects[1, "fp32"], objects[3, "fp32"]
        assert one.gflop < three.gflop < 3 * one.gflop
        assert one.operations < three.operations
        assert one.bank_rows < three.bank_rows


@pytest.fixture(scope="module")
def stages(setup: Setup) -> list[Any]:
    return list(section(setup, "stages").rows)


def test_a_stage_is_held_against_the_rate_of_its_precision(stages: list[Any]) -> None:
    known = {row.precision: row.gflop_per_s for row in RATES.rows}
    multiplying = [row for row in stages if row.gflop_per_s is not None]
    assert {row.precision for row in multiplying} == set(known)
    for row in multiplying:
        assert row.of_rate == pytest.approx(row.gflop_per_s / known[row.precision])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_stages_sum_up_to_the_whole_frame(stages: list[Any], precision: str) -> None:
    *stages, whole = [row for row in stages if row.precision == precision]
    assert whole.stage == WHOLE
    assert {"trunk", "read", "decode", "refine", "memorize", "bank"} < {row.stage for row in stages}
    for name in ("gflop", "operations", "waits"):
        assert sum(getattr(row, name) for row in stages) == pytest.approx(getattr(whole, name))
    assert whole.gflop_per_s == pytest.approx(whole.gflop / whole.seconds)


def test_memorizing_less_often_stores_less(setup: Setup) -> None:
    rows = {(row.precision, row.memory_every): row for row in section(setup, "memory").rows}
    assert rows["fp32", 5].bank_rows < rows["fp32", 1].bank_rows
    assert rows["fp32", 1].speedup == rows["bf16", 1].speedup == 1


def test_banks_are_as_large_as_asked_and_at_least_two_frames(setup: Setup) -> None:
    rows = section(replace(setup, banks=(1, 480)), "bank").rows
    assert [(row.precision, row.rows) for row in rows] == [
        ("fp32", 2 * 24), ("fp32", 480), ("bf16", 2 * 24), ("bf16", 480)
    ]  # fmt: skip
    small, large = rows[:2]
    values, keys, channels, extra = 128, 64, 2, 480 - 48
    # Read and the search for the nearest: weights, read-out and cosines of every stored row and position.
    more = 2 * 24 * extra * channels * (keys + values + keys) / 1e9
    assert large.gflop - small.gflop == pytest.approx(more, rel=0.2)
    assert large.read_seconds > 0 and large.bank_seconds > 0
    assert small.workspace_bytes < large.workspace_bytes < 1 << 20


def test_a_read_of_the_largest_bank_holds_less_than_64_mb(setup: Setup) -> None:
    assert 40e6 < read_workspace(setup, "fp32", max(Setup.banks)) < 64e6


def test_stretches_are_held_against_the_first_with_a_full_bank(setup: Setup) -> None:
    rows = section(setup, "length").rows
    assert [(row.first, row.last) for row in rows] == [(0, 3), (4, 7), (8, 11), (12, 15)]
    full = [row.bank_rows >= 0.95 * setup.long_budget for row in rows]
    assert not full[0] and full[-1]
    first = full.index(True) + 1
    assert [row.of_full is None for row in rows] == [number < first for number in range(4)]
    assert rows[first].of_full == 1


@pytest.mark.slow
def test_each_network_is_held_against_its_own_fp32(setup: Setup) -> None:
    rows = {(row.preset, row.precision): row for row in section(setup, "networks").rows}
    assert list(rows) == [(preset, precision) for preset in ("lite0", "resnet50") for precision in ("fp32", "bf16")]
    assert rows["lite0", "fp32"].speedup == rows["resnet50", "fp32"].speedup == 1
    assert rows["resnet50", "fp32"].gflop > 5 * rows["lite0", "fp32"].gflop


def test_means_are_torchs_and_torch_scatters_where_it_is(setup: Setup) -> None:
    found = section(setup, "mean")
    assert found.rows[0].backend == "torch"
    assert all(row.largest_difference < 1e-5 for row in found.rows)
    assert len(found.rows) == 2 or "make scatter" in found.note


def test_tables_are_written_without_a_network(setup: Setup) -> None:
    rows = section(setup, "writing").rows
    assert [(row.height, row.width, row.num_objects) for row in rows] == [(48, 64, 1), (48, 64, 2)]
    assert all(row.frames_per_s > 0 and row.mask_bytes > 0 for row in rows)


def test_a_worker_is_held_against_the_network_alone(setup: Setup) -> None:
    alone, worker = section(setup, "pipeline").rows
    assert alone.share == 1
    assert worker.share == pytest.approx(alone.seconds / worker.seconds)


def test_workers_that_the_machine_has_no_cores_for_are_left_out(setup: Setup) -> None:
    found = section(replace(setup, workers=(100_000,)), "workers")
    assert found.rows == []
    assert found.note == "left out: 100000 workers, for which this machine is too small"


@pytest.mark.slow
@pytest.mark.ray
def test_workers_are_counted_together(setup: Setup) -> None:
    rows = section(replace(setup, workers=(1, 2)), "workers").rows
    assert [row.workers for row in rows][:1] == [1]
    assert rows[0].speedup == rows[0].bound == 1 and rows[-1].frames_per_s > 0
    assert all(1 <= row.bound <= row.workers for row in rows)


def test_an_unknown_section_is_refused_with_those_there_are(setup: Setup) -> None:
    with pytest.raises(InvalidInput, match="no section speed; there are stages, objects, memory, bank, length"):
        next(measure(setup, ["speed"]))


def test_what_is_measured_is_told_and_all_of_it_is_json(setup: Setup) -> None:
    told: list[str] = []
    found = list(measure(replace(setup, tell=told.append), ["mean"]))
    assert told == ["rates", "means of merges"]
    said = json.loads(json.dumps(as_json(this_machine(setup.device), setup, found)))
    assert said["machine"]["torch_threads"] == 1
    assert said["settings"]["device"] == "cpu" and said["settings"]["height"] == 64
    assert list(said["sections"]) == ["rates", "mean"]
    assert said["sections"]["rates"]["rows"][0]["gflop_per_s"] > 0


def test_every_section_is_there() -> None:
    assert list(SECTIONS) == [
        "stages", "objects", "memory", "bank", "length", "networks", "mean", "writing", "pipeline", "workers",
    ]  # fmt: skip
