"""An OUTPUT that tests write for themselves: masks of any shape, also overlapping ones, and the videos they lie on."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from jobs.exports.export import export
from jobs.exports.losses import Tally
from jobs.exports.pictures import Frames
from jobs.exports.plan import Asked
from jobs.exports.video import Selection
from pipeline.output import rle
from pipeline.output.commits import FileRecord, create_commit
from pipeline.output.events import Events
from pipeline.output.layout import new_run_id, rows_path
from pipeline.output.marker import claim_output
from pipeline.output.schema import SCHEMAS, to_table
from pipeline.storage.store import Store
from tests.pipeline.made_commits import make_commit
from tests.pipeline.media import write_frames, write_video

Masks = Mapping[int, NDArray[np.bool_]]
"""One frame: a mask an object, perhaps without a pixel."""
Truth = dict[tuple[str, int, int], NDArray[np.bool_]]
"""Masks that have a pixel by video_id, frame_index and object_id."""

UNICODE, SLASH = "Tür 日本", "a/b"
FOLDER = "walk"
CLASSES = {FOLDER: {"1": "car", "300": "pedestrian"}, UNICODE: {"1": "pedestrian"}}
_FLAT = {name: 0.5 for name in ("uncertainty_mean", "uncertainty_p50", "uncertainty_p95", "uncertainty_max")}


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where it lies, and what is in it."""

    url: str
    manifest: str
    truth: Truth


def put_video(
    store: Store, video_id: str, frames: Sequence[Masks], *, names: Sequence[str] | None = None, first: int = 0
) -> None:
    """Commit a video of these masks; object-frame n of a frame scores 0.9 - n / 10 and is uncertain by n / 10."""
    height, width = next(iter(frames[-1].values())).shape
    objects = sorted({object_id for masks in frames for object_id in masks})
    events = Events()
    rows = {"masks": [], "frames": []}  # type: dict[str, list[Mapping[str, object]]]
    for place, masks in enumerate(frames):
        about = {
            "video_id": video_id,
            "frame_index": first + place,
            "timestamp_us": None if names else 40_000 * (first + place),
        }
        rows["frames"].append(_frame_row(about, names[place] if names else None, len(masks)))
        rows["masks"] += [
            about | _mask_columns(object_id, number, masks[object_id], events)
            for number, object_id in enumerate(sorted(masks))
        ]
    run_id = new_run_id()
    files = {name: _put(store, name, rows_path(name, video_id, f"{run_id}-1"), rows[name]) for name in rows}
    made = make_commit(video_id)
    video = {
        **made.video,
        "frames_decoded": len(frames),
        "height": height,
        "width": width,
        "objects": objects,
        "fps": None if names else 25.0,
    }
    commit = type(made)(video_id=video_id, identity=made.identity, files=files, video=video, driver=1)
    assert create_commit(store, commit)


def _frame_row(about: Mapping[str, object], name: str | None, objects: int) -> dict[str, object]:
    zeros = dict.fromkeys(SCHEMAS["frames"].names, 0)
    flags = {"prompted": False, "damaged": False, "shot_cut": False}
    return zeros | _FLAT | flags | about | {"frame_name": name, "num_objects": objects}


def _mask_columns(object_id: int, number: int, mask: NDArray[np.bool_], events: Events) -> dict[str, object]:
    (found,) = rle.encode(mask.astype(np.int32), [1])
    box = found.box or (None,) * 4
    return {
        "object_id": object_id,
        "height": mask.shape[0],
        "width": mask.shape[1],
        "rle": found.counts,
        "area": found.area,
        **dict(zip(("bbox_x", "bbox_y", "bbox_w", "bbox_h"), box, strict=True)),
        "score": 0.9 - number / 10 if found.area else None,
        "uncertainty": number / 10,
        "present": found.area > 0,
        "approximate": None,
        "backward": False,
        "event": events.of(object_id, found.area, mask.size),
    }


def _put(store: Store, table: str, path: str, rows: Sequence[Mapping[str, object]]) -> FileRecord:
    buffer = io.BytesIO()
    pq.write_table(to_table(table, rows), buffer)
    data = buffer.getvalue()
    store.put(path, data)
    return FileRecord(path=path, rows=len(rows), bytes=len(data), sha256=sha256(data).hexdigest())


def box(height: int, width: int, top: int, left: int, bottom: int, right: int) -> NDArray[np.bool_]:
    mask = np.zeros((height, width), bool)
    mask[top:bottom, left:right] = True
    return mask


def walk(frames: int = 6) -> list[Masks]:
    """47 x 61: 1 has a hole and moves, 3 comes with frame 2 and is in two parts, 300 is away in the frames 3 and 4."""
    found = []
    for t in range(frames):
        one = box(47, 61, 4, 3 + t, 20, 23 + t) & ~box(47, 61, 9, 8 + t, 14, 15 + t)
        masks = {1: one, 300: box(47, 61, 30, 2, 47, 19) if t not in (3, 4) else np.zeros((47, 61), bool)}
        if t >= 2:
            masks[3] = box(47, 61, 25, 40, 30, 50) | box(47, 61, 35, 45, 36, 46)
        found.append(masks)
    return found


def noisy(frames: int = 4, height: int = 34, width: int = 40) -> list[Masks]:
    """Masks without any form."""
    random = np.random.default_rng(7)
    return [{1: random.random((height, width)) < 0.3} for _ in range(frames)]


def overlapping() -> list[Masks]:
    """2 lies over a part of 1 with 8 pixels."""
    return [{1: box(20, 30, 2, 2, 12, 12), 2: box(20, 30, 10, 8, 18, 20)}]


def make_output(folder: Path) -> Output:
    """Two videos of a folder of frames and a file, and their manifest with classes."""
    folder.mkdir(parents=True, exist_ok=True)
    videos = {FOLDER: walk(), UNICODE: noisy()}
    names = [f"{8 + t}.png" for t in range(6)]
    write_frames(folder / "pictures", [_picture(47, 61, t) for t in range(6)], ".png")
    for t, path in enumerate(sorted((folder / "pictures").iterdir())):
        path.rename(folder / "pictures" / names[t])
    write_video(folder / "file.mp4", [_picture(34, 40, t) for t in range(8)])
    store = Store(str(folder / "out"))
    claim_output(store)
    put_video(store, FOLDER, videos[FOLDER], names=names)
    put_video(store, UNICODE, videos[UNICODE], first=2)
    rows = [
        _row(FOLDER, "pictures"),
        _row(UNICODE, "file.mp4") | {"start_frame": 2, "end_frame": 6, "mask_frame": 2},
    ]
    (folder / "manifest.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return Output(
        url=store.url,
        manifest=str(folder / "manifest.jsonl"),
        truth=truth_of(FOLDER, videos[FOLDER]) | truth_of(UNICODE, videos[UNICODE], first=2),
    )


def _row(video_id: str, uri: str) -> dict[str, object]:
    metadata = {"classes": CLASSES[video_id]}
    return {"video_id": video_id, "video_uri": uri, "mask_uri": "none.png", "mask_frame": 0, "metadata": metadata}


def _picture(height: int, width: int, t: int) -> NDArray[np.uint8]:
    ramp = np.linspace(0, 200, width).astype(np.uint8)
    return np.broadcast_to((ramp + 5 * t)[None, :, None], (height, width, 3)).astype(np.uint8)


def truth_of(video_id: str, frames: Sequence[Masks], first: int = 0) -> Truth:
    return {
        (video_id, first + t, object_id): mask
        for t, masks in enumerate(frames)
        for object_id, mask in masks.items()
        if mask.any()
    }


def exported(output: Output | str, name: str, to: Path, *, frames: Frames = Frames.NONE, **asked: Any) -> Tally:
    """Export in this process; `asked` as of Asked and Selection."""
    selection = Selection(**{key: asked.pop(key) for key in list(asked) if key in Selection.__dataclass_fields__})
    url = output if isinstance(output, str) else output.url
    return export(url, name, str(to), Asked(selection=selection, **asked), frames=frames, workers=1)


def same(found: Truth, truth: Truth) -> bool:
    """Whether the same masks are found, pixel by pixel."""
    return found.keys() == truth.keys() and all(np.array_equal(found[key], truth[key]) for key in truth)
