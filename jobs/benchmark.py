"""`vos-batch benchmark`: what a frame costs on this machine and where it goes, section by section."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from jobs.benchmarks.machine import this_machine
from jobs.benchmarks.sections import SECTIONS, as_json, check_names, measure
from jobs.benchmarks.setup import Setup
from jobs.terminal.console import exit_on_error, stdout
from jobs.terminal.launch import tell_of_precision
from jobs.terminal.options import CheckpointOption
from jobs.terminal.printable import printable
from model.runtime import keep_memory
from pipeline.input.weights import DEFAULT_CHECKPOINT, load_network
from pipeline.run.device import Device, pick_device

app = typer.Typer(add_completion=False)


@app.command(name="benchmark")
def benchmark_command(
    checkpoint: CheckpointOption = DEFAULT_CHECKPOINT,
    only: Annotated[
        list[str] | None, typer.Option(metavar="SECTION", help=f"Only this of {', '.join(SECTIONS)}; may be repeated.")
    ] = None,
    height: Annotated[int, typer.Option(min=16, help="Of a frame; the network sees it at this size.")] = Setup.height,
    width: Annotated[int, typer.Option(min=16)] = Setup.width,
    objects: Annotated[list[int] | None, typer.Option(min=1, help="May be repeated.")] = None,
    frames: Annotated[int, typer.Option(min=1, help="Timed frames of every measurement.")] = Setup.frames,
    device: Device = "auto",
    capture: Annotated[bool, typer.Option("--capture", help="On a GPU record steps and replay them.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Torch threads.")] = 1,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all values there.")] = None,
) -> None:
    """Measure what a frame costs on this machine: stages, objects, precisions, bank, tables, workers."""
    console = stdout()
    with exit_on_error():
        check_names(only or ())
        keep_memory()
        torch.set_num_threads(threads)
        where = pick_device(device)
        setup = Setup(
            checkpoint=checkpoint,
            network=load_network(checkpoint).to(where),
            device=where,
            capture=capture,
            height=height,
            width=width,
            num_objects=tuple(objects or Setup.num_objects),
            frames=frames,
            threads=threads,
        )
        machine = this_machine(setup.device)
        console.print(f"{printable(checkpoint)} on {machine}")
        for precision in setup.precisions:
            tell_of_precision(precision, device, console)
        console.print()
        with _shown(Console(stderr=True)) as tell:
            found = []
            for section in measure(replace(setup, tell=tell), only or ()):
                found.append(section)
                section.show(console)
        if json_file:
            json_file.write_text(json.dumps(as_json(machine, setup, found), indent=1) + "\n")
            console.print(f"all values: {json_file}")


@contextmanager
def _shown(console: Console) -> Iterator[Callable[[str], None]]:
    """Says what is measured: in a terminal beside a spinner, elsewhere a line each."""
    if not console.is_terminal:
        yield lambda what: console.print(f"measuring: {what}", highlight=False)
        return
    with console.status("") as status:
        yield lambda what: status.update(f"measuring: {what}")


if __name__ == "__main__":
    app()
