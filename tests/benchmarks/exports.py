"""What an export costs, by format: `python -m tests.benchmarks.exports [--videos N] [--only FORMAT] [--shrink N]`.

Made-up results of 480 x 854 pixels, five objects a frame, 2,000 frames a video, so 10,000 object-frames; written to
local disk by one process, a fresh one for each format, so that peak memory is the format's own. CPU time counts, for
others may be at work here. Formats that draw on frames see one picture under many names.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.exports.export import export
from jobs.exports.plan import Asked
from jobs.exports.registry import FORMATS
from jobs.exports.video import Selection
from pipeline.output import rle
from pipeline.output.commits import FileRecord, create_commit
from pipeline.output.layout import rows_path
from pipeline.output.marker import claim_output
from pipeline.output.schema import SCHEMAS
from pipeline.storage.store import Store
from tests.pipeline.made_commits import make_commit

HEIGHT, WIDTH, OBJECTS, FRAMES, CYCLE = 480, 854, 5, 2_000, 40


def make_output(folder: Path, videos: int, shrink: int = 1) -> str:
    """Write the results, of frames that are `shrink` times smaller each way, and a manifest; returns OUTPUT."""
    store = Store(str(folder / "out"))
    claim_output(store)
    masks, frames = _tables(shrink)
    rows = []
    for number in range(videos):
        video_id = f"video-{number:05d}"
        files = {name: _put(folder, video_id, name, table) for name, table in (("masks", masks), ("frames", frames))}
        made = make_commit(video_id)
        about = {
            "height": int(masks["height"][0].as_py()),
            "width": int(masks["width"][0].as_py()),
            "objects": list(range(1, OBJECTS + 1)),
            "frames_decoded": FRAMES,
        }
        assert create_commit(store, replace(made, files=files, video={**made.video, **about, "fps": 25.0}))
        rows.append({"video_id": video_id, "video_uri": "pictures", "mask_uri": "none.png", "mask_frame": 0})
    (folder / "manifest.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return store.url


def make_pictures(folder: Path, shrink: int = 1) -> None:
    """A folder of one picture under many names."""
    (folder / "pictures").mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (HEIGHT // 8, WIDTH // 8, 3)).astype(np.uint8)
    cv2.imwrite(
        str(folder / "picture.jpg"),
        cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)[::shrink, ::shrink],
    )
    for t in range(FRAMES):
        os.link(folder / "picture.jpg", folder / f"pictures/{t:05d}.jpg")


def _tables(shrink: int) -> tuple[pa.Table, pa.Table]:
    """Rows of any of the videos: ellipses with bumps that move, about 400 bytes of run lengths each."""
    blobs = [[_blob(t, number)[::shrink, ::shrink] for number in range(OBJECTS)] for t in range(CYCLE)]
    height, width = blobs[0][0].shape
    found = [[rle.encode(blob, [1])[0] for blob in blobs_of_frame] for blobs_of_frame in blobs]
    one = [mask for t in range(FRAMES) for mask in found[t % CYCLE]]
    boxes = np.array([mask.box for mask in one])
    size = len(one)
    columns = {
        "video_id": [""] * size,
        "frame_index": np.repeat(np.arange(FRAMES), OBJECTS),
        "timestamp_us": np.repeat(np.arange(FRAMES) * 40_000, OBJECTS),
        "object_id": np.tile(np.arange(1, OBJECTS + 1), FRAMES),
        "height": np.full(size, height),
        "width": np.full(size, width),
        "rle": [mask.counts for mask in one],
        "area": [mask.area for mask in one],
        **{f"bbox_{side}": boxes[:, place] for place, side in enumerate("xywh")},
        "score": np.random.default_rng(0).random(size, np.float32),
        "uncertainty": np.random.default_rng(1).random(size, np.float32),
        "present": np.ones(size, bool),
        "approximate": [None] * size,
        "backward": [False] * size,
        "event": [None] * size,
    }
    masks = pa.table([pa.array(columns[field.name], field.type) for field in SCHEMAS["masks"]], schema=SCHEMAS["masks"])
    frames = {
        field.name: pa.array(np.arange(FRAMES) if field.name == "frame_index" else _zeros(field.type), field.type)
        for field in SCHEMAS["frames"]
    }
    return masks, pa.table(list(frames.values()), schema=SCHEMAS["frames"])


def _zeros(kind: pa.DataType) -> list[object]:
    value = "" if pa.types.is_string(kind) else False if pa.types.is_boolean(kind) else 0
    return [value] * FRAMES


def _blob(t: int, number: int) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, 90)
    radius = 55 + 6 * np.sin(9 * angles + t) + 3 * np.sin(31 * angles)
    centre = (90 + 165 * number + 2 * t % 40, 240 + 40 * np.sin(t + number))
    points = np.stack([centre[0] + radius * np.cos(angles), centre[1] + 1.8 * radius * np.sin(angles)], axis=1)
    canvas = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.fillPoly(canvas, [points.astype(np.int32)], (1,))
    return canvas.astype(np.int32)


def _put(folder: Path, video_id: str, name: str, table: pa.Table) -> FileRecord:
    ids = pa.array([video_id] * len(table), pa.string())
    path = rows_path(name, video_id, "20260101T000000-00000000-1")
    target = folder / "out" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    column = table.schema.get_field_index("video_id")
    if name == "frames":
        names = pa.array([f"{t:05d}.jpg" for t in range(FRAMES)], pa.string())
        table = table.set_column(table.schema.get_field_index("frame_name"), table.schema.field("frame_name"), names)
    pq.write_table(table.set_column(column, table.schema.field("video_id"), ids), target, compression="zstd")
    data = target.read_bytes()
    return FileRecord(path=path, rows=len(table), bytes=len(data), sha256=sha256(data).hexdigest())


def measure(folder: Path, name: str) -> None:
    """In a process of its own: prints CPU seconds, peak memory and bytes."""
    asked = Asked(selection=Selection(), manifest=str(folder / "manifest.jsonl"))
    before, peak_before = resource.getrusage(resource.RUSAGE_SELF), _peak_mb()
    written = export(str(folder / "out"), name, str(folder / "to" / name), asked, workers=1)
    after = resource.getrusage(resource.RUSAGE_SELF)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    size = sum(path.stat().st_size for path in (folder / "to" / name).rglob("*") if path.is_file())
    sys.stdout.write(
        f"| {name} | {written.object_frames:,} | {seconds:.0f} s | {1e6 * seconds / written.object_frames:.0f} us "
        f"| {_peak_mb():.0f} MB, {peak_before:.0f} before | {size / 1e6:.0f} MB |\n"
    )


def _peak_mb() -> float:
    """Peak memory so far; what `getrusage` tells begins with that of the process which started this one."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--videos", type=int, default=100)
    parser.add_argument("--only", action="append")
    parser.add_argument("--shrink", type=int, default=1, help="for memory alone: as many rows of smaller frames")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help="keep what is made here, and take it from here")
    given = parser.parse_args()
    if given.measure:
        measure(Path(given.folder), given.measure)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(given.folder or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "manifest.jsonl").exists():
            make_output(folder, given.videos, given.shrink)
            make_pictures(folder, given.shrink)
        for name in given.only or FORMATS:
            command = [sys.executable, "-m", "tests.benchmarks.exports", "--folder", str(folder), "--measure", name]
            subprocess.run(command, check=True)
            shutil.rmtree(folder / "to")


if __name__ == "__main__":
    main()
