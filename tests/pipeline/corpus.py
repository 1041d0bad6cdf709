"""A tiny corpus that tests write for themselves: three videos of two files and a folder, a span, masks, a manifest."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model.checkpoint import fingerprint
from model.segmenter import SegmenterConfig
from pipeline.input.manifest import VideoTask, read_manifest
from pipeline.input.weights import load_network
from pipeline.output import tables
from pipeline.run.config import WorkerConfig
from pipeline.run.driver import run
from pipeline.run.pool import LocalPool
from pipeline.storage.store import Store
from tests.pipeline.media import Rgb, moving_square, write_frames, write_video

HEIGHT, WIDTH = 48, 64
CHECKPOINT = "untrained"
FRAMES = {"walk": range(8), "two/objects": range(12), "folder": range(5), "span": range(3, 7)}
"""Frame numbers by video_id."""
FIRST_PROMPTS = {"walk": {1: 0}, "two/objects": {1: 0, 3: 4}, "folder": {7: 2}, "span": {1: 3}}
"""First prompted frame of each object by video_id."""

_ROWS = (
    {"video_id": "walk", "video_uri": "walk.mp4", "mask_uri": "walk-0.png", "mask_frame": 0},
    {
        "video_id": "two/objects",
        "video_uri": "two.mp4",
        "prompts": [
            {"frame_index": 0, "mask_uri": "two-0.png"},
            {"frame_index": 4, "mask_uri": "two-4.png", "object_ids": [3]},
        ],
    },
    {"video_id": "folder", "video_uri": "pictures", "mask_uri": "pictures-2.png", "mask_frame": 2},
    {
        "video_id": "span",
        "video_uri": "walk.mp4",
        "mask_uri": "walk-3.png",
        "mask_frame": 3,
        "start_frame": 3,
        "end_frame": 7,
    },
)
BROKEN = {
    "missing": "does not exist",
    "garbage": r"garbage\.mp4 is not a video",
    "beyond": "prompt for frame 99, but the video ends after frame 7",
}
"""What must be said of the videos of `broken_tasks`, as patterns, by video_id."""
_BROKEN_ROWS = (
    {"video_id": "missing", "video_uri": "gone.mp4", "mask_uri": "walk-0.png", "mask_frame": 0},
    {"video_id": "garbage", "video_uri": "garbage.mp4", "mask_uri": "walk-0.png", "mask_frame": 0},
    {"video_id": "beyond", "video_uri": "walk.mp4", "mask_uri": "walk-0.png", "mask_frame": 99},
)


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Where it lies."""

    url: str

    @property
    def folder(self) -> Path:
        """Where it is local."""
        return Path(self.url.removeprefix("file://"))

    @property
    def manifest(self) -> str:
        return f"{self.url}/manifest.jsonl"

    @property
    def tasks(self) -> list[VideoTask]:
        """The good videos."""
        return read_manifest(self.manifest)

    @property
    def broken_tasks(self) -> list[VideoTask]:
        """Videos that can only fail, for the reasons in `BROKEN`."""
        return read_manifest(f"{self.url}/broken.jsonl")

    def change_mask(self, name: str) -> None:
        """Take the lowest row of pixels from the object in a mask."""
        store = Store(self.url)
        labels = cv2.imdecode(np.frombuffer(store.get(name), np.uint8), cv2.IMREAD_GRAYSCALE)
        assert labels is not None
        labels[np.nonzero(labels)[0].max()] = 0
        store.put(name, png(labels.astype(np.uint8)))


def write_corpus(folder: Path) -> Corpus:
    """Write everything into a local folder."""
    folder.mkdir(parents=True, exist_ok=True)
    walk, two, pictures = (moving_square(n, HEIGHT, WIDTH) for n in (8, 12, 5))
    write_video(folder / "walk.mp4", walk)
    write_video(folder / "two.mp4", two)
    write_frames(folder / "pictures", pictures, ".png")
    masks = {
        "walk-0.png": square_mask(walk[0]),
        "walk-3.png": square_mask(walk[3]),
        "two-0.png": _left_half(square_mask(two[0])),
        "two-4.png": 3 * (square_mask(two[4]) - _left_half(square_mask(two[4]))),
        "pictures-2.png": 7 * square_mask(pictures[2]),
    }
    for name, labels in masks.items():
        (folder / name).write_bytes(png(labels))
    (folder / "garbage.mp4").write_bytes(b"no video at all " * 100)
    write_rows(folder / "manifest.jsonl", _ROWS)
    write_rows(folder / "broken.jsonl", _BROKEN_ROWS)
    return Corpus(url=f"file://{folder}")


def copy_corpus(folder: Path, url: str) -> Corpus:
    """Put what `write_corpus` wrote into another store."""
    store = Store(url)
    for path in folder.rglob("*"):
        if path.is_file():
            store.put_file(str(path.relative_to(folder)), path)
    return Corpus(url=url)


def square_mask(rgb: Rgb) -> NDArray[np.uint8]:
    """1 where `moving_square` drew its square, else 0."""
    return (rgb[..., 0] > 150).astype(np.uint8)


def _left_half(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    columns = np.nonzero(mask)[1]
    half = mask.copy()
    half[:, (columns.min() + columns.max() + 1) // 2 :] = 0
    return half


def png(labels: NDArray[np.uint8]) -> bytes:
    """A grey PNG."""
    return cv2.imencode(".png", labels)[1].tobytes()


def write_rows(path: Path, rows: "tuple[Mapping[str, Any], ...]") -> Path:
    """A manifest; returns its path."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@lru_cache(maxsize=1)
def untrained_fingerprint() -> str:
    """Of the weights that `config_for` names."""
    return fingerprint(load_network(CHECKPOINT))


def config_for(output: str | Path, **changes: Any) -> WorkerConfig:
    """Untrained weights on the CPU; the small videos are not enlarged, which would cost most of the time."""
    given = {
        "checkpoint": CHECKPOINT,
        "checkpoint_fingerprint": untrained_fingerprint(),
        "device": "cpu",
        "segmenter": SegmenterConfig(min_side=0),
        **changes,
    }
    return WorkerConfig(output=str(output), **given)


def segmented(tasks: Sequence[VideoTask], output: str, checkpoint: str) -> str:
    """Videos, by weights of the box; returns `output`."""
    config = config_for(output, checkpoint=checkpoint, checkpoint_fingerprint=fingerprint(load_network(checkpoint)))
    run(tasks, config, LocalPool(config))
    return output


def digests(output: str) -> dict[tuple[str, str], str]:
    """sha256 of every committed masks and frames file by (video_id, table)."""
    rows = tables.open(output, "videos").to_table().to_pylist()
    return {(row["video_id"], table): row[f"{table}_sha256"] for row in rows for table in ("masks", "frames")}


def expected_masks() -> set[tuple[str, int, int]]:
    """(video_id, frame_index, object_id) of every row that `masks` must have."""
    return {
        (video_id, frame, object_id)
        for video_id, objects in FIRST_PROMPTS.items()
        for object_id, first in objects.items()
        for frame in FRAMES[video_id]
        if frame >= first
    }
