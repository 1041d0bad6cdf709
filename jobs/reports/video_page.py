"""What the page of one video shows, as JSON values."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jobs.pictures.colours import object_colour
from jobs.reports.chosen import Reasons
from jobs.reports.curves import Curves, json_numbers, thinning
from jobs.reports.frames import picture_name
from jobs.reports.heat import css_ramp, map_name
from jobs.reports.marks import MOST_MARKS, Mark
from jobs.reports.object_frames import object_frame
from jobs.reports.proxy import Proxy
from pipeline.output.labels import CommittedVideo

_FACTS = (
    "status", "needs_prompt_frame", "frames_expected", "frames_decoded", "width", "height", "fps", "codec",
    "seconds_decode", "seconds_network", "seconds_write", "seconds_total", "attempts", "checkpoint", "identity",
    "bad_packets",
)  # fmt: skip
_ROWS_PER_BATCH = 4096


@dataclass(frozen=True, kw_only=True)
class Images:
    """Which of the shown frames have what, whether all are in a film, and why not."""

    pictures: Collection[int] = ()
    without_pictures: str | None = None
    heat_maps: Collection[int] = ()
    without_heat_maps: str | None = None
    proxy: Proxy | None = None
    without_proxy: str | None = None


def css_colour(object_id: int) -> str:
    """The colour of an object, as in every other picture of it."""
    return "#{:02x}{:02x}{:02x}".format(*object_colour(object_id))


def page_of(
    row: Mapping[str, Any],
    curves: Curves,
    marks: Sequence[Mark],
    reasons: Reasons,
    masks: Mapping[int, Mapping[int, str]],
    safe: str,
    images: Images,
) -> dict[str, object]:
    """All of one video: `row` of the table videos, `masks` as run lengths by frame and object, `images` of these."""
    return {
        "id": row["video_id"],
        "facts": {name: row[name] for name in _FACTS},
        **_curves(curves),
        "marks": [[mark.frame_index, mark.kind, mark.object_id] for mark in marks[:MOST_MARKS]],
        "marks_left_out": max(0, len(marks) - MOST_MARKS),
        "shown": list(_shown(curves, reasons, masks, safe, images)),
        "without_pictures": images.without_pictures,
        "without_heat": images.without_heat_maps,
        "ramp": css_ramp() if images.heat_maps else None,
        "proxy": asdict(images.proxy) if images.proxy else None,
        "without_proxy": images.without_proxy,
    }


def _curves(curves: Curves) -> dict[str, object]:
    thin = thinning(len(curves.frame_T))
    of = curves.columns
    return {
        "every": thin.every,
        "frame": curves.frame_T[thin.starts_P].tolist(),
        "bank": {
            "bank_size": json_numbers(thin.last(of["bank_size"]), 0),
            **{name: json_numbers(thin.most(of[name]), 0) for name in ("merged", "appended", "evicted")},
        },
        "objects": [
            {
                "id": one.object_id,
                "colour": css_colour(one.object_id),
                "uncertainty": json_numbers(thin.most(one.uncertainty_T), 4),
                "expected_j": json_numbers(thin.least(one.expected_j_T), 3),
                "area": json_numbers(thin.least(one.area_T), 0),
            }
            for one in curves.objects
        ],
    }


def _shown(
    curves: Curves,
    reasons: Reasons,
    masks: Mapping[int, Mapping[int, str]],
    safe: str,
    images: Images,
) -> Iterator[dict[str, object]]:
    places = {index: place for place, index in enumerate(curves.frame_T.tolist()) if index in reasons}
    for index, why in reasons.items():
        yield {
            "frame": index,
            "why": why,
            "picture": picture_name(safe, index) if index in images.pictures else None,
            "heat": map_name(safe, index) if index in images.heat_maps else None,
            "objects": [
                object_frame(one, places[index], masks[index][one.object_id])
                for one in curves.objects
                if one.object_id in masks.get(index, {})
            ],
        }


def read_masks(found: CommittedVideo, indices: Collection[int]) -> dict[int, dict[int, str]]:
    """Run lengths of the masks in some frames, by frame and object; in memory is a batch of rows besides.

    Raises FileNotFoundError when the result was replaced meanwhile.
    """
    wanted = pa.array(sorted(indices), pa.int64())
    masks: dict[int, dict[int, str]] = {}
    for batch in found.batches("masks", columns=["frame_index", "object_id", "rle"], rows=_ROWS_PER_BATCH):
        for row in batch.filter(pc.is_in(batch["frame_index"], value_set=wanted)).to_pylist():
            masks.setdefault(row["frame_index"], {})[row["object_id"]] = row["rle"]
    return masks
