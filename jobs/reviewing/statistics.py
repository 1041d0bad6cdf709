"""What the tables say of every object-frame of a video that is finished: what its quality is judged by.

Statistics look back to the prompt that the mask comes from (the next one, where `segment --both-ways` went backwards),
for who once went wrong is often sure of it later, and around the frame, for all frames are there.

Legend: N object-frames of a video, by object and then by frame; T those of one object from a prompt to the next.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.reviewing.shapes import Shape, overlap, shape_of
from pipeline.output.labels import CommittedVideo

Floats = NDArray[np.float64]
Columns = dict[str, NDArray[Any]]

WINDOW = 10
"""Frames of a running mean."""
UNCERTAIN = 0.3
"""An object-frame of more uncertainty than this is an uncertain one."""
_LEAST_SHARE = 1e-5
"""Of the picture: areas are compared as if they were at least as large."""

_MASK_COLUMNS = (
    "frame_index", "object_id", "height", "width", "rle", "area", "bbox_x", "bbox_y", "bbox_w", "bbox_h", "score",
    "uncertainty", "approximate", "backward",
)  # fmt: skip
_FRAME_COLUMNS = (
    "frame_index", "uncertainty_p95", "uncertain_fraction", "margin", "entropy", "num_objects", "bank_size", "merged",
    "appended", "evicted", "prompted", "shot_cut",
)  # fmt: skip

STATISTICS: Mapping[str, str] = {
    "uncertainty": "as in `masks`; 1 where the mask is empty",
    "score": "as in `masks`; 0 where the mask is empty",
    "area_share": "pixels of the mask as a share of the picture",
    "border": "sides of the picture that the mask's box touches, 0 to 4",
    "fragments": "parts of the mask that touch nowhere, on a grid of 32 x 32 points of its box",
    "largest_fragment": "share of the mask in its largest part, on the same grid",
    "raggedness": "runs of the mask a column of its box, less 1",
    "overlap_before": "IoU with the object's mask in the frame before; 1 when both are empty",
    "overlap_after": "IoU with the object's mask in the frame after; 1 when both are empty or there is none",
    "area_change": "log2 of the area against that of the frame before, without sign",
    "shift": "way of the box's centre since the frame before, in diagonals of the prompt's box",
    "box_overlap": "largest share of the mask's box that another object's box covers",
    "area_to_prompt": "log2 of the area against that at the last prompt",
    "shift_from_prompt": "way of the box's centre since the last prompt, in diagonals of the prompt's box",
    "since_prompt": "frames since the object's last prompt",
    "nearest_prompt": "frames to the object's nearest prompt, before or after",
    "uncertainty_change": "uncertainty less the mean of the ten frames before",
    "uncertainty_10": "mean uncertainty of the ten frames up to this one",
    "uncertainty_around": "mean uncertainty of the ten frames before, this and the ten after",
    "uncertainty_worst": "largest `uncertainty_10` since the last prompt",
    "uncertainty_since": "mean uncertainty since the last prompt",
    "uncertain_share": "share of the frames since the last prompt with an uncertainty above 0.3",
    "uncertainty_rise": "uncertainty_10 less the mean of the first ten frames behind the last prompt",
    "score_worst": "smallest mean score of ten frames since the last prompt",
    "overlap_worst": "smallest `overlap_before` since the last prompt",
    "overlap_around": "mean `overlap_before` of the ten frames before, this and the ten after",
    "area_change_worst": "largest `area_change` since the last prompt",
    "shift_worst": "largest `shift` since the last prompt",
    "shrunk": "smallest `area_to_prompt` since the last prompt",
    "grown": "largest `area_to_prompt` since the last prompt",
    "absent_share": "share of the frames since the last prompt in which the mask is empty",
    "cuts": "shot cuts since the last prompt",
    "frame_uncertainty_p95": "`uncertainty_p95` of `frames`",
    "frame_uncertain_fraction": "`uncertain_fraction` of `frames` in areas of all of the frame's masks",
    "frame_margin": "`margin` of `frames`",
    "frame_entropy": "`entropy` of `frames`",
    "appended_share": "features appended as a share of those appended or merged, mean of ten frames",
    "evicted_share": "features evicted as a share of the bank, mean of ten frames",
    "num_objects": "as in `frames`",
}
"""By name of the column what it is."""

_KEYS = [
    pa.field("video_id", pa.string(), nullable=False, metadata={"description": "the manifest's video_id"}),
    pa.field("frame_index", pa.int64(), nullable=False, metadata={"description": "as in `masks`"}),
    pa.field("object_id", pa.int32(), nullable=False, metadata={"description": "as in `masks`"}),
    pa.field("prompted", pa.bool_(), nullable=False, metadata={"description": "the object has a prompt on the frame"}),
]
OBJECT_FRAMES = pa.schema(
    [
        *_KEYS,
        *(
            pa.field(name, pa.float32(), nullable=False, metadata={"description": what})
            for name, what in STATISTICS.items()
        ),
    ]
)
"""One row per frame and object, sorted by (frame_index, object_id); NaN where a statistic is not known."""


def object_frames(video: CommittedVideo) -> pa.Table:
    """The statistics of all object-frames of a video: the table OBJECT_FRAMES.

    In memory are numbers, some 2 kB an object-frame, and a batch of masks. Raises FileNotFoundError when the
    video was replaced and removed meanwhile.
    """
    columns = _columns(video)
    columns |= _of_frames(video, columns)
    columns |= _of_boxes(columns, video.size)
    columns |= _of_tracks(columns)
    order = np.lexsort((columns["object_id"], columns["frame_index"]))
    ids = pa.array([video.video_id], pa.string()).take(pa.array(np.zeros(len(order), np.int64)))
    arrays = [pa.array(columns[field.name][order], field.type) for field in list(OBJECT_FRAMES)[1:]]
    return pa.Table.from_arrays([ids, *arrays], schema=OBJECT_FRAMES)


def _columns(video: CommittedVideo) -> Columns:
    """The columns of `masks` and what its run lengths say [N]."""
    found = defaultdict(list)
    for row, shape, before in _looked_at(video):
        for name in _MASK_COLUMNS:
            if name != "rle":
                found[name].append(row[name])
        for name, value in shape._asdict().items():
            found[name].append(value)
        found["overlap_before"].append(before)
    columns = {name: _array(values) for name, values in found.items()}
    if not columns:
        columns = {name: np.zeros(0) for name in (*_MASK_COLUMNS, *Shape._fields, "overlap_before")}
    order = np.lexsort((columns["frame_index"], columns["object_id"]))
    return {name: values[order] for name, values in columns.items()}


def _array(values: list[Any]) -> NDArray[Any]:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _looked_at(video: CommittedVideo) -> Iterator[tuple[dict[str, Any], Shape, float]]:
    """Every row of `masks`, its shape, and its overlap with the object's mask in the frame before."""
    last: dict[int, dict[str, Any]] = {}
    for row in video.rows("masks", _MASK_COLUMNS):
        before = last.get(row["object_id"])
        last[row["object_id"]] = row
        yield row, shape_of(row), overlap(before, row) if before else 1.0


def _of_frames(video: CommittedVideo, columns: Columns) -> Columns:
    """What is known of the frames, for every object-frame [N]."""
    table = video.frames(list(_FRAME_COLUMNS))
    frames = {name: _numbers(table[name]) for name in _FRAME_COLUMNS}
    place = np.searchsorted(frames["frame_index"], columns["frame_index"])
    news = frames["appended"] + frames["merged"]
    frames["appended_share"] = trailing_mean(frames["appended"] / np.maximum(1, news), WINDOW)
    frames["evicted_share"] = trailing_mean(frames["evicted"] / np.maximum(1, frames["bank_size"]), WINDOW)
    frames["cuts"] = np.nan_to_num(frames["shot_cut"]).cumsum()
    areas = np.zeros(len(frames["frame_index"]))
    np.add.at(areas, place, columns["area"])
    picture = columns["height"][0] * columns["width"][0] if len(place) else 1
    uncertain = frames["uncertain_fraction"] / np.maximum(areas / picture, _LEAST_SHARE)
    return {
        "frame_prompted": frames["prompted"][place] > 0,
        "frame_uncertainty_p95": frames["uncertainty_p95"][place],
        "frame_uncertain_fraction": uncertain[place],
        "frame_margin": frames["margin"][place],
        "frame_entropy": frames["entropy"][place],
        **{name: frames[name][place] for name in ("appended_share", "evicted_share", "num_objects", "cuts")},
    }


def _numbers(column: pa.ChunkedArray) -> Floats:
    values: Floats = (
        column.cast(pa.float64()).to_numpy() if column.type != pa.bool_() else _numbers(column.cast(pa.int8()))
    )
    return values


def _of_boxes(columns: Columns, size: tuple[int, int]) -> Columns:
    """What masks and boxes are in their frame [N]."""
    height, width = size
    x, y, w, h = (columns[f"bbox_{name}"] for name in "xywh")
    sides = [x == 0, y == 0, x + w == width, y + h == height]
    empty = columns["area"] == 0
    return {
        "prompted": _prompted(columns),
        "uncertainty": np.where(empty & np.isnan(columns["uncertainty"]), 1.0, columns["uncertainty"]),
        "score": np.where(empty, 0.0, columns["score"]),
        "area_share": columns["area"] / (height * width),
        "border": np.sum(sides, axis=0).astype(np.float64),
        "box_overlap": _box_overlaps(columns),
        "centre_x": x + w / 2,
        "centre_y": y + h / 2,
        "diagonal": np.hypot(w, h),
    }


def _prompted(columns: Columns) -> NDArray[np.bool_]:
    """Whether the object has a prompt there; earlier versions tell only of the frame."""
    told = ~np.isnan(columns["approximate"])
    told_of = np.unique(columns["frame_index"][told])
    return told | (columns["frame_prompted"] & ~np.isin(columns["frame_index"], told_of))


def _box_overlaps(columns: Columns) -> Floats:
    """The largest share of an object's box that another's covers in the same frame."""
    shares = np.zeros(len(columns["area"]))
    order = np.argsort(columns["frame_index"], kind="stable")
    bounds = np.flatnonzero(np.diff(columns["frame_index"][order])) + 1
    x, y, w, h = (columns[f"bbox_{name}"] for name in "xywh")
    for rows in np.split(order, bounds):
        if len(rows) > 1:
            left, top, right, bottom = x[rows], y[rows], x[rows] + w[rows], y[rows] + h[rows]
            across = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
            down = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)
            covered = np.nan_to_num(np.maximum(0, across) * np.maximum(0, down))
            np.fill_diagonal(covered, 0)
            shares[rows] = covered.max(axis=1) / np.maximum(1, np.nan_to_num(w[rows] * h[rows]))
    return shares


def _of_tracks(columns: Columns) -> Columns:
    """What needs the frames before and after [N]."""
    number = len(columns["object_id"])
    found = {name: np.full(number, np.nan) for name in STATISTICS if name not in columns or name == "cuts"}
    changes = np.flatnonzero(np.diff(columns["object_id"])) + 1
    for begin, end in pairwise([0, *changes.tolist(), number] if number else [0]):
        track = {name: values[begin:end] for name, values in columns.items()}
        for name, values in _of_track(track).items():
            found[name][begin:end] = values
    return found


def _of_track(track: Columns) -> dict[str, Floats]:
    """The same of one object."""
    frames, prompts = track["frame_index"], np.flatnonzero(track["prompted"])
    found = {
        "overlap_after": np.append(track["overlap_before"][1:], 1.0),
        "area_change": np.abs(np.diff(_log_area(track), prepend=_log_area(track)[:1])),
        "nearest_prompt": _nearest(frames, frames[prompts if len(prompts) else [0]]),
        "uncertainty_around": centred_mean(track["uncertainty"], WINDOW),
        "overlap_around": centred_mean(track["overlap_before"], WINDOW),
    }
    since = _in_order(track | found)
    backward = track["backward"] == 1
    if backward.any():
        reverse = {name: values[::-1] for name, values in (track | found).items()}
        reverse |= {"overlap_before": reverse["overlap_after"], "overlap_after": reverse["overlap_before"]}
        reverse["area_change"] = np.abs(np.diff(_log_area(reverse), prepend=_log_area(reverse)[:1]))
        behind = {name: values[::-1] for name, values in _in_order(reverse).items()}
        since = {name: np.where(backward, behind[name], values) for name, values in since.items()}
    return found | since


def _in_order(track: Columns) -> dict[str, Floats]:
    """What needs the prompt before each frame; of a track in reverse, the prompt behind it."""
    starts = sorted({0, *np.flatnonzero(track["prompted"]).tolist()})
    parts = [
        _since_prompt({name: values[begin:end] for name, values in track.items()})
        for begin, end in pairwise([*starts, len(track["area"])])
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _nearest(frames: Floats, prompts: Floats) -> Floats:
    after = np.searchsorted(prompts, frames).clip(0, len(prompts) - 1)
    before = (after - 1).clip(0)
    nearest: Floats = np.minimum(np.abs(frames - prompts[after]), np.abs(frames - prompts[before]))
    return nearest


def _log_area(track: Columns) -> Floats:
    logs: Floats = np.log2(np.maximum(track["area_share"], _LEAST_SHARE))
    return logs


def _since_prompt(part: Columns) -> dict[str, Floats]:
    """Of one object from a prompt on, up to the next [T]."""
    frames = np.arange(1, len(part["area"]) + 1)
    uncertainty = part["uncertainty"].copy()
    uncertainty[:1] = np.nan  # the prompt's own frame: nothing was predicted, or what was is no more
    area_to_prompt = _log_area(part) - _log_area(part)[0]
    uncertainty_10 = trailing_mean(uncertainty, WINDOW)
    before = np.append(np.nan, uncertainty_10[:-1])
    x, y = _carried_on(part["centre_x"]), _carried_on(part["centre_y"])
    diagonal = np.fmax(1.0, part["diagonal"][0])
    shift = np.append(0.0, np.hypot(np.diff(x), np.diff(y))) / diagonal
    return {
        "area_to_prompt": area_to_prompt,
        "shrunk": np.minimum.accumulate(area_to_prompt),
        "grown": np.maximum.accumulate(area_to_prompt),
        "shift": shift,
        "shift_worst": np.fmax.accumulate(shift),
        "shift_from_prompt": np.hypot(x - x[0], y - y[0]) / diagonal,
        "since_prompt": np.abs(part["frame_index"] - part["frame_index"][0]),
        "uncertainty_change": uncertainty - before,
        "uncertainty_10": uncertainty_10,
        "uncertainty_worst": np.fmax.accumulate(uncertainty_10),
        "uncertainty_since": trailing_mean(uncertainty, len(frames)),
        "uncertain_share": trailing_mean(_where_known(uncertainty, uncertainty > UNCERTAIN), len(frames)),
        "uncertainty_rise": uncertainty_10 - uncertainty_10[: WINDOW + 1][-1],
        "score_worst": np.fmin.accumulate(trailing_mean(part["score"], WINDOW)),
        "overlap_worst": np.minimum.accumulate(np.append(1.0, part["overlap_before"][1:])),
        "area_change_worst": np.maximum.accumulate(np.append(0.0, part["area_change"][1:])),
        "absent_share": np.cumsum(part["area"] == 0) / frames,
        "cuts": np.abs(part["cuts"] - part["cuts"][0]),
    }


def _carried_on(values: Floats) -> Floats:
    """Where one is not known the last that was stands for it, before all of them the first; 0 where none is."""
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        return np.zeros(len(values))
    last = np.searchsorted(known, np.arange(len(values)), side="right") - 1
    carried: Floats = values[known[last.clip(0)]]
    return carried


def _where_known(values: Floats, told: NDArray[np.bool_]) -> Floats:
    return np.where(np.isnan(values), np.nan, told)


def trailing_mean(values: Floats, window: int) -> Floats:
    """Of every value and those before it, `window` in all; NaN counts for nothing, and is the mean of none."""
    return _window_mean(values, window - 1, 0)


def centred_mean(values: Floats, reach: int) -> Floats:
    """Of every value and the `reach` before and after it; NaN as of `trailing_mean`."""
    return _window_mean(values, reach, reach)


def _window_mean(values: Floats, before: int, after: int) -> Floats:
    known = ~np.isnan(values)
    sums = np.append(0.0, np.where(known, values, 0.0).cumsum())
    counts = np.append(0, known.cumsum())
    begin = np.maximum(0, np.arange(len(values)) - before)
    end = np.minimum(len(values), np.arange(len(values)) + after + 1)
    number = counts[end] - counts[begin]
    mean: Floats = np.where(number > 0, (sums[end] - sums[begin]) / np.maximum(1, number), np.nan)
    return mean
