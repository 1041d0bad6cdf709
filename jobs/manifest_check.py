"""`vos-batch manifest check`: open all that a manifest names before a run does, and report every fault at once."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice

import typer
from rich.console import Console
from rich.progress import track

from jobs.terminal.console import WRONG_CALL, exit_on_error, stdout
from pipeline.input.fields import Fault
from pipeline.input.inspection import Inspection, inspect
from pipeline.input.manifest import VideoTask, parse_manifest, write_manifest
from pipeline.input.manifest_files import check_format

_READERS = 16


def check(
    manifest: str,
    *,
    output: str | None = None,
    binary_masks: bool = False,
    readers: int = _READERS,
    shown: Callable[[Iterable[Inspection], int], Iterable[Inspection]] = lambda inspections, _: inspections,
) -> tuple[int, list[Fault]]:
    """The number of rows without a fault, and all faults by row.

    `output`: where to write the manifest with `num_frames`, `height` and `width` as the videos have them; only when
    there is no fault. `readers` videos are opened at a time; `shown` passes on the inspections and may show how far
    it is. Raises InvalidManifest for what is no manifest, InvalidOutput, StoreUnavailable.
    """
    if output is not None:
        check_format(output)
    tasks, faults = parse_manifest(manifest)
    good = []
    for inspection in shown(_inspect_all(tasks, readers, binary_masks), len(tasks)):
        faults += inspection.faults
        good += [] if inspection.faults else [inspection.task]
    if output is not None and not faults:
        write_manifest(output, good)
    return len(good), sorted(faults, key=lambda fault: fault.row)


def _inspect_all(tasks: Sequence[VideoTask], readers: int, binary_masks: bool) -> Iterator[Inspection]:
    """In the order of the tasks; few wait in memory however many there are."""
    waiting = iter(tasks)
    look = partial(inspect, binary_masks=binary_masks)
    with ThreadPoolExecutor(readers) as pool:
        begun: list[Future[Inspection]] = [pool.submit(look, task) for task in islice(waiting, 4 * readers)]
        while begun:
            yield begun.pop(0).result()
            begun += [pool.submit(look, task) for task in islice(waiting, 1)]


def _shown_on(console: Console) -> Callable[[Iterable[Inspection], int], Iterable[Inspection]]:
    if not console.is_terminal:
        return lambda inspections, _: inspections
    return lambda inspections, total: track(inspections, "opening videos and masks", total=total, console=console)


def check_command(
    manifest: str = typer.Argument(metavar="MANIFEST", help="Manifest: path or URL."),
    output: str | None = typer.Option(None, help="Write it here, with num_frames, height and width of every video."),
    binary_masks: bool = typer.Option(False, "--binary-masks", help="255 is the object (DAVIS-2016)."),
    readers: int = typer.Option(_READERS, min=1, help="Videos opened at a time."),
) -> None:
    """Open every video and mask of a manifest and report all faults."""
    console = stdout()
    with exit_on_error():
        good, faults = check(
            manifest, output=output, binary_masks=binary_masks, readers=readers, shown=_shown_on(console)
        )
    for fault in faults:
        console.out(str(fault), highlight=False)
    if faults:
        rows = len({fault.row for fault in faults})
        not_written = f"; {output} was not written" if output else ""
        console.out(f"{len(faults)} faults in {rows} rows, {good} videos are fine{not_written}", highlight=False)
        raise typer.Exit(WRONG_CALL)
    console.out(f"{good} videos are fine" + (f", wrote {output}" if output else ""), highlight=False)
