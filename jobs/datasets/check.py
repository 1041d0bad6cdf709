"""All that a manifest names is opened before a run does, and every fault reported at once."""

from collections.abc import Callable, Iterable
from functools import partial

from jobs.datasets.side_by_side import side_by_side
from pipeline.input.fields import Fault
from pipeline.input.frames import MAX_PIXELS
from pipeline.input.inspection import Inspection, inspect
from pipeline.input.manifest import NOTHING_ELSE, VideoTask, parse_manifest, write_manifest
from pipeline.input.manifest_files import check_format
from pipeline.input.origin import Allowed

READERS = 16
"""Videos opened at a time."""


def check(
    manifest: str,
    *,
    output: str | None = None,
    binary_masks: bool = False,
    max_pixels: int = MAX_PIXELS,
    allowed: Allowed = NOTHING_ELSE,
    readers: int = READERS,
    shown: Callable[[Iterable[Inspection], int], Iterable[Inspection]] = lambda inspections, _: inspections,
) -> tuple[int, list[Fault], list[Fault]]:
    """The number of rows without a fault, all faults by row, and by row what is right but may not have been meant.

    `output`: where to write the manifest with `num_frames`, `height` and `width` as the videos have them; only when
    there is no fault. `readers` videos are opened at a time; `shown` passes on the inspections and may show how far
    it is. Raises InvalidManifest for what is no manifest, InvalidOutput, StoreUnavailable.
    """
    if output is not None:
        check_format(output)
    tasks, faults = parse_manifest(manifest, allowed)
    good: list[VideoTask] = []
    notes: list[Fault] = []
    look = partial(inspect, binary_masks=binary_masks, max_pixels=max_pixels)
    for inspection in shown(side_by_side(look, tasks, readers), len(tasks)):
        faults += inspection.faults
        notes += inspection.notes
        good += [] if inspection.faults else [inspection.task]
    if output is not None and not faults:
        write_manifest(output, good)
    return len(good), sorted(faults, key=lambda fault: fault.row), sorted(notes, key=lambda note: note.row)
