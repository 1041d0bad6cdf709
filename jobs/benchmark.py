"""`vos-batch benchmark`: what a checkpoint costs on this machine, by number of objects and precision."""

from collections.abc import Sequence
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

from jobs.evaluation.cost import Cost, Setup, benchmark
from jobs.terminal.console import exit_on_error, stdout
from jobs.terminal.options import CheckpointOption
from jobs.terminal.printable import printable
from model.runtime import keep_memory
from pipeline.input.weights import DEFAULT_CHECKPOINT, load_network
from pipeline.run.device import Device, pick_device


def _show(costs: Sequence[Cost], title: str, console: Console) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, title=printable(title), title_justify="left")
    for heading in ("objects", "precision", "GFLOP", "s/frame", "speed", "bank", "peak MB", "J&F", "J"):
        table.add_column(heading, justify="right", no_wrap=True)
    for cost in costs:
        table.add_row(
            str(cost.num_objects),
            cost.precision,
            f"{cost.gflop:.1f}",
            f"{cost.seconds:.3f}",
            f"{cost.speedup:.2f}x",
            f"{cost.bank_rows:,}",
            f"{cost.peak_bytes / 1e6:,.0f}",
            f"{cost.J_and_F:.3f}",
            f"{cost.J_to_fp32:.3f}",
        )
    console.print(table)
    console.print("speed and J are against fp32, J&F against the masks of the generated clip")


app = typer.Typer(add_completion=False)

_OBJECTS = list(Setup.num_objects)


@app.command(name="benchmark")
def benchmark_command(
    checkpoint: CheckpointOption = DEFAULT_CHECKPOINT,
    height: Annotated[int, typer.Option(min=16, help="Of a frame; the network sees it at this size.")] = Setup.height,
    width: Annotated[int, typer.Option(min=16)] = Setup.width,
    objects: Annotated[list[int], typer.Option(min=1, help="May be repeated.")] = _OBJECTS,
    frames: Annotated[int, typer.Option(min=1, help="Timed frames.")] = Setup.frames,
    bank_rows: Annotated[
        int, typer.Option(min=1, help="Features stored of an object; two frames' at least.")
    ] = Setup.bank_rows,
    device: Device = "auto",
    threads: Annotated[int, typer.Option(min=1, help="Torch threads.")] = 1,
) -> None:
    """Measure what a frame costs: operations, seconds, memory, and what a lower precision does to the masks."""
    console = stdout()
    with exit_on_error():
        keep_memory()
        torch.set_num_threads(threads)
        where = pick_device(device)
        setup = Setup(height=height, width=width, num_objects=tuple(objects), frames=frames, bank_rows=bank_rows)
        costs = benchmark(load_network(checkpoint).to(where), setup)
        _show(costs, f"{checkpoint}, {height} x {width}, {_machine(where, threads)}", console)


def _machine(device: torch.device, threads: int) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, torch threads: {threads}"


if __name__ == "__main__":
    app()
