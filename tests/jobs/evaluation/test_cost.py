"""The benchmark's rows: counted operations and scores are the same in every run, times only have to be there."""

from dataclasses import fields, replace

import pytest
from typer.testing import CliRunner

from jobs.benchmark import app
from jobs.evaluation.cost import Cost, Setup, benchmark
from pipeline.errors import InvalidInput
from pipeline.input.weights import load_network

SMALL = Setup(height=64, width=96, num_objects=(1, 3), frames=1, bank_rows=48)
MEASURED = {"seconds", "speedup", "peak_bytes"}


def measure(setup: Setup) -> list[Cost]:
    return benchmark(load_network("lite0-open"), setup)


@pytest.fixture(scope="module")
def costs() -> dict[tuple[int, str], Cost]:
    return {(cost.num_objects, cost.precision): cost for cost in measure(SMALL)}


def test_a_row_for_every_number_of_objects_and_precision(costs: dict[tuple[int, str], Cost]) -> None:
    assert list(costs) == [(1, "fp32"), (1, "bf16"), (3, "fp32"), (3, "bf16")]
    for cost in costs.values():
        assert cost.seconds > 0 and cost.peak_bytes > 10**7
        assert 0 < cost.J_and_F < 1


def test_the_bank_is_full(costs: dict[tuple[int, str], Cost]) -> None:
    assert {key: cost.bank_rows for key, cost in costs.items() if key[1] == "fp32"} == {
        (1, "fp32"): 96,
        (3, "fp32"): 192,
    }


def test_the_warm_up_fills_the_bank() -> None:
    setup = Setup()
    assert (setup.positions, setup.rows, setup.warm_up) == (30 * 54, 5_000, 5)
    assert Setup(height=1080, width=1920).rows == 2 * 68 * 120


def test_others_are_held_against_fp32(costs: dict[tuple[int, str], Cost]) -> None:
    for objects in SMALL.num_objects:
        fp32, bf16 = costs[objects, "fp32"], costs[objects, "bf16"]
        assert (fp32.speedup, fp32.J_to_fp32) == (1, 1)
        assert bf16.speedup == pytest.approx(fp32.seconds / bf16.seconds)
        assert 0.5 < bf16.J_to_fp32 < 1
        assert bf16.gflop == pytest.approx(fp32.gflop)


def test_operations_grow_with_objects_the_bank_and_the_frame(costs: dict[tuple[int, str], Cost]) -> None:
    one = costs[1, "fp32"].gflop
    assert one < costs[3, "fp32"].gflop < 3 * one
    for larger in (
        Setup(height=64, width=96, num_objects=(1,), frames=1, bank_rows=72),
        Setup(height=96, width=96, num_objects=(1,), frames=1, bank_rows=48),
    ):
        assert measure(larger)[0].gflop > one


def test_what_is_no_time_or_memory_is_the_same_in_every_run(costs: dict[tuple[int, str], Cost]) -> None:
    for cost in measure(replace(SMALL, num_objects=(1,))):
        before = costs[1, cost.precision]
        for name in {field.name for field in fields(Cost)} - MEASURED:
            assert getattr(cost, name) == getattr(before, name)


def test_too_many_objects_for_a_frame_are_refused() -> None:
    with pytest.raises(InvalidInput, match="40 objects do not fit into 16 x 16"):
        measure(Setup(height=16, width=16, num_objects=(40,)))


def test_the_command_prints_a_narrow_table() -> None:
    size = ["--height", "64", "--width", "96", "--objects", "2", "--frames", "1", "--bank-rows", "48"]
    arguments = ["--checkpoint", "untrained", "--device", "cpu", *size]
    shown = CliRunner().invoke(app, arguments, env={"COLUMNS": "80"})
    assert shown.exit_code == 0, shown.output
    title, heading, *rows, note = shown.output.splitlines()
    assert title == "untrained, 64 x 96, CPU, torch threads: 1"
    assert heading.split() == ["objects", "precision", "GFLOP", "s/frame", "speed", "bank", "peak", "MB", "J&F", "J"]
    assert [row.split()[:2] for row in rows] == [["2", "fp32"], ["2", "bf16"]]
    assert "J&F against the masks of the generated clip" in note
    assert all(len(line) <= 80 for line in shown.output.splitlines())


def test_a_wrong_call_exits_with_2() -> None:
    shown = CliRunner().invoke(app, ["--height", "16", "--width", "16", "--objects", "40"])
    assert (shown.exit_code, "do not fit" in shown.output) == (2, True)
