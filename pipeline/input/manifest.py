"""The manifest: which videos to segment and which masks prompt them, a video a row.

Columns follow the design, section 6: `video_id`, `video_uri`, `prompts`, each with a `mask_uri` or with
`objects` (or `mask_uri` and `mask_frame` for one prompt), and optionally `start_frame`, `end_frame`, `num_frames`,
`height`, `width`, `metadata`.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations, groupby
from typing import Any

from pipeline.errors import InvalidManifest
from pipeline.input.fields import MOST, Fault, Fields, unknown_column
from pipeline.input.manifest_files import COLUMNS, PROMPT_COLUMNS, Row, check_format, read_rows, shown, write_rows
from pipeline.input.objects import PromptObject, parse_objects
from pipeline.input.origin import Allowed, Origin
from pipeline.storage.store import Store, read_url
from pipeline.storage.urls import absolute_url, name_of, parent_url, resolve

NOTHING_ELSE = Allowed()
_SHOWN_FAULTS = 20


@dataclass(frozen=True, kw_only=True)
class PromptSource:
    """What a manifest says about one prompted frame: where its mask lies, or its objects themselves."""

    frame_index: int
    """Position in the whole video, from 0, whatever `start_frame` is."""
    mask_uri: str | None = None
    """Absolute URL of a label PNG; None: there are `objects`."""
    objects: tuple[PromptObject, ...] = ()
    """Each id once; where they overlap the later one is on top. Empty: there is a mask."""
    object_ids: tuple[int, ...] | None = None
    """Ids the prompt speaks for, ascending; None: the ids found in the mask, or all of `objects`."""

    @property
    def known_ids(self) -> tuple[int, ...] | None:
        """The ids it speaks for, as far as they are known without reading a mask."""
        if self.object_ids is None and self.objects:
            return tuple(sorted(one.object_id for one in self.objects))
        return self.object_ids

    @property
    def has_boxes(self) -> bool:
        """Whether some of its masks are made of boxes."""
        return any(one.kind == "box" for one in self.objects)


@dataclass(frozen=True, kw_only=True)
class VideoTask:
    """One row of the manifest: a video, or a span of its frames, and its prompts."""

    video_id: str
    """Unique in the manifest, free text."""
    video_uri: str
    """Absolute URL of a video file or of a folder of frames."""
    prompts: tuple[PromptSource, ...]
    """At least one, by ascending `frame_index`."""
    start_frame: int = 0
    end_frame: int | None = None
    """Exclusive; None: the end of the video."""
    num_frames: int | None = None
    """Frames of the whole video; an estimate of cost only, as are `height` and `width` (pixels)."""
    height: int | None = None
    width: int | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    """Free, JSON values."""
    row: int = field(default=0, compare=False)
    """Row in the manifest (`manifest_files.Row`), for messages; 0 when the task does not come from one."""

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"video {self.video_id!r}" + (f" (row {self.row})" if self.row else "")

    @property
    def frames_in_span(self) -> int | None:
        """Frames from `start_frame` on, by the manifest; None where it does not tell."""
        end = self.end_frame if self.end_frame is not None else self.num_frames
        return None if end is None else max(0, end - self.start_frame)


def read_manifest(url: str, allowed: Allowed = NOTHING_ELSE) -> list[VideoTask]:
    """All rows of the manifest at a path or URL, in its order; relative URIs start at the manifest's folder.

    A manifest from a store may name object stores, its own store and what is `allowed`. Raises InvalidManifest that
    lists the faults of all rows, StoreUnavailable.
    """
    tasks, faults = parse_manifest(url, allowed)
    _raise_faults(absolute_url(url), faults)
    return tasks


def parse_manifest(url: str, allowed: Allowed = NOTHING_ELSE) -> tuple[list[VideoTask], list[Fault]]:
    """The rows without a fault, and the faults of the others; nothing that they name is opened.

    Raises InvalidManifest for a file that is no manifest or has no rows, StoreUnavailable.
    """
    url = absolute_url(url)
    check_format(url)
    origin = Origin(url=parent_url(url), allowed=allowed)
    columns, rows = read_rows(url, _read(url))
    faults = _faults_of_columns(columns or ())
    unknown = set(columns or ()) - set(COLUMNS)
    tasks: list[VideoTask] = []
    rows_of_ids: dict[str, int] = {}
    number = 0
    for number, row in enumerate(rows, 1):  # noqa: B007
        before = len(faults)
        task = _parse_row(row, unknown, origin, faults)
        if task and task.video_id and (first := rows_of_ids.setdefault(task.video_id, row.number)) != row.number:
            faults.append(Fault(row.number, f"video_id {task.video_id!r} is already that of row {first}"))
        if task and len(faults) == before:
            tasks.append(task)
    if not number:
        raise InvalidManifest(f"{url}: has no rows; write one for each video")
    return tasks, faults


def write_manifest(url: str, tasks: Iterable[VideoTask]) -> None:
    """Write the tasks as a manifest; URIs below its folder become relative to it, so the folder can move.

    Raises InvalidManifest when the name is not that of a format we write, InvalidOutput, StoreUnavailable.
    """
    url = absolute_url(url)
    check_format(url)
    base = parent_url(url)
    Store(base).put(name_of(url), write_rows(url, [_columns_of(task, base) for task in tasks]))


def _read(url: str) -> bytes:
    try:
        return read_url(url)
    except FileNotFoundError:
        raise InvalidManifest(f"{url}: no such manifest; write one with `vos-batch manifest build`") from None


def _raise_faults(url: str, faults: Sequence[Fault]) -> None:
    if not faults:
        return
    # A line each, whatever their values hold.
    shown = ["  " + str(fault).replace("\n", "\\n") for fault in faults[:_SHOWN_FAULTS]]
    if len(faults) > _SHOWN_FAULTS:
        shown.append(f"  and {len(faults) - _SHOWN_FAULTS} more")
    counted = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    raise InvalidManifest("\n".join([f"{url}: {counted}; correct these rows and start again", *shown]))


def _faults_of_columns(columns: Iterable[str]) -> list[Fault]:
    return [Fault(0, unknown_column(name, COLUMNS)) for name in columns if name not in COLUMNS]


def _parse_row(row: Row, unknown: Collection[str], origin: Origin, faults: list[Fault]) -> VideoTask | None:
    """What the row says as far as it can be read; its faults are noted. None: nothing of it can be read."""
    if row.values is None:
        faults.append(Fault(row.number, row.fault))
        return None
    values = {name: value for name, value in row.values.items() if name not in unknown}
    return _parse_task(row.number, Fields(row.number, values, COLUMNS, faults), origin)


def _parse_task(number: int, fields: Fields, origin: Origin) -> VideoTask:
    task = VideoTask(
        video_id=fields.text("video_id"),
        video_uri=fields.uri("video_uri", origin),
        prompts=tuple(sorted(_parse_prompts(fields, origin), key=lambda prompt: prompt.frame_index)),
        start_frame=fields.integer("start_frame", least=0) or 0,
        end_frame=fields.integer("end_frame", least=1),
        num_frames=fields.integer("num_frames", least=1),
        height=fields.integer("height", least=1),
        width=fields.integer("width", least=1),
        metadata=fields.mapping("metadata"),
        row=number,
    )
    _check_span(task, fields)
    _check_same_frame(task, fields)
    return task


def _parse_prompts(fields: Fields, origin: Origin) -> list[PromptSource]:
    flat = fields.has("mask_uri") or fields.has("mask_frame")
    if flat and fields.has("prompts"):
        fields.fault("has both prompts and mask_uri or mask_frame; keep one of the two forms")
        return []
    if not flat and not fields.has("prompts"):
        fields.fault("has no prompt; give prompts, or mask_uri and mask_frame")
        return []
    if flat:
        found = [_parse_prompt(fields, "mask_frame", origin)]
    else:
        listed = fields.objects("prompts", PROMPT_COLUMNS)
        found = [_parse_prompt(prompt, "frame_index", origin) for prompt in listed]
    return [prompt for prompt in found if prompt is not None]


def _parse_prompt(fields: Fields, frame_column: str, origin: Origin) -> PromptSource | None:
    mask_uri, objects = _parse_masks(fields, origin)
    object_ids = fields.object_ids("object_ids")
    if object_ids and (left_out := sorted({one.object_id for one in objects}.difference(object_ids))):
        fields.fault(f"object_ids leaves out {shown(left_out)} of objects; name them too, or leave object_ids out")
    frame_index = fields.integer(frame_column, least=0)
    if frame_index is None:
        if not fields.has(frame_column):
            fields.fault(f"{frame_column} is missing")
        return None
    return PromptSource(frame_index=frame_index, mask_uri=mask_uri, objects=objects, object_ids=object_ids)


def _parse_masks(fields: Fields, origin: Origin) -> tuple[str | None, tuple[PromptObject, ...]]:
    if not fields.has("objects"):
        if fields.has("mask_uri"):
            return fields.uri("mask_uri", origin), ()
        fields.fault("mask_uri is missing; name a mask, or give objects in prompts")
        return None, ()
    if fields.has("mask_uri"):
        fields.fault("has both mask_uri and objects; keep one of them")
    return None, parse_objects(fields)


def _check_span(task: VideoTask, fields: Fields) -> None:
    end = MOST if task.end_frame is None else task.end_frame
    if end <= task.start_frame:
        fields.fault(f"end_frame {end} is not after start_frame {task.start_frame}")
        return
    for prompt in task.prompts:
        if not task.start_frame <= prompt.frame_index < end:
            span = f"{task.start_frame} to {'the end' if task.end_frame is None else end - 1}"
            fields.fault(f"the prompt of frame {prompt.frame_index} is outside the frames {span}")


def _check_same_frame(task: VideoTask, fields: Fields) -> None:
    for frame_index, prompts in groupby(task.prompts, key=lambda prompt: prompt.frame_index):
        if any(_overlap(one, other) for one, other in combinations(prompts, 2)):
            fields.fault(
                f"several prompts of frame {frame_index} speak for the same object; "
                "keep one, or give each its own object_ids"
            )


def _overlap(one: PromptSource, other: PromptSource) -> bool:
    """Whether both may speak for one object: without object_ids that is not known, so it counts as yes."""
    if one.known_ids is None or other.known_ids is None:
        return True
    return not set(one.known_ids).isdisjoint(other.known_ids)


def _columns_of(task: VideoTask, base_url: str) -> dict[str, Any]:
    columns = {
        "video_id": task.video_id,
        "video_uri": _relative(task.video_uri, base_url),
        "prompts": [_prompt_columns_of(prompt, base_url) for prompt in task.prompts],
        "start_frame": task.start_frame or None,
        "end_frame": task.end_frame,
        "num_frames": task.num_frames,
        "height": task.height,
        "width": task.width,
        "metadata": task.metadata or None,
    }
    return {name: value for name, value in columns.items() if value is not None}


def _prompt_columns_of(prompt: PromptSource, base_url: str) -> dict[str, Any]:
    columns: dict[str, Any] = {"frame_index": prompt.frame_index}
    if prompt.mask_uri is not None:
        columns["mask_uri"] = _relative(prompt.mask_uri, base_url)
    if prompt.objects:
        columns["objects"] = [one.columns() for one in prompt.objects]
    return columns if prompt.object_ids is None else columns | {"object_ids": list(prompt.object_ids)}


def _relative(uri: str, base_url: str) -> str:
    below = uri.removeprefix(f"{base_url.rstrip('/')}/")
    # A rest that reads as something else (an empty name, "~", "a://b") stays absolute.
    return below if below and resolve(below, base_url) == uri else uri
