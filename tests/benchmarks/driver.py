"""What the driver itself costs: a manifest of many rows, and workers that need no time.

    python -m tests.benchmarks.driver --videos 100000
    python -m tests.benchmarks.driver --videos 5000 --s3     # needs the dev extra's moto

Prints CPU time of this process a video (plan, schedule, commit, tables), its memory, then what a second run takes to
find everything done, and the LISTs of that. Inputs are really listed; the pool hands out finished results.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from model.segmenter import SegmenterConfig
from pipeline.input.manifest import read_manifest
from pipeline.run.config import WorkerConfig
from pipeline.run.driver import RunSummary, run
from pipeline.storage.backends import Entry
from pipeline.storage.store import Store
from tests.pipeline.finished_pool import FinishedPool
from tests.s3.servers import BUCKET, moto


def make_corpus(store: Store, videos: int) -> str:
    """Empty videos and masks in two folders, and their manifest; its URL."""
    names = [f"clip-{index:06}" for index in range(videos)]
    if store.url.startswith("file://"):
        for folder, suffix in (("videos", "mp4"), ("masks", "png")):
            path = Path(store.url.removeprefix("file://")) / folder
            path.mkdir(parents=True)
            for name in names:
                (path / f"{name}.{suffix}").touch()
    else:
        with ThreadPoolExecutor(8) as pool:
            for folder, suffix in (("videos", "mp4"), ("masks", "png")):
                list(pool.map(lambda name, f=folder, s=suffix: store.put(f"{f}/{name}.{s}", b"x"), names))
    rows = (
        {
            "video_id": name,
            "video_uri": f"videos/{name}.mp4",
            "prompts": [{"frame_index": 0, "mask_uri": f"masks/{name}.png", "object_ids": [1, 3]}],
            "num_frames": 100,
            "height": 480,
            "width": 854,
        }
        for name in names
    )
    store.put("manifest.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    return store.url_of("manifest.jsonl")


@contextmanager
def counted_lists() -> Iterator[Counter[str]]:
    """Calls of Store.list by folder, and the LISTs of an object store that the entries stand for."""
    calls: Counter[str] = Counter()
    listing = Store.list

    def counting(self: Store, folder: str = "") -> list[Entry]:
        entries = listing(self, folder)
        calls[f"{self.url.rsplit('/', 1)[-1]}/{folder}"] += max(1, -(-len(entries) // 1000))
        return entries

    Store.list = counting  # type: ignore[method-assign]
    try:
        yield calls
    finally:
        Store.list = listing  # type: ignore[method-assign]


def measure(what: str, config: WorkerConfig, manifest: str) -> RunSummary:
    """Run once and say what it took."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    tasks = read_manifest(manifest)
    read_s = time.process_time() - cpu_s
    with counted_lists() as lists:
        summary = run(tasks, config, FinishedPool(config.output))
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    sys.stdout.write(
        f"{what}: {summary.complete} committed, {summary.skipped} skipped; CPU {cpu_s:.1f} s "
        f"(manifest {read_s:.1f} s), {1000 * cpu_s / len(tasks):.2f} ms a video; wall {wall_s:.1f} s; "
        f"peak memory {memory:.2f} GB; LISTs {dict(lists)}\n"
    )
    return summary


def main() -> None:
    """Measure a first and a second run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=100_000)
    parser.add_argument("--s3", action="store_true", help="on a local S3 server")
    parser.add_argument("--again", metavar="URL", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.again:
        measure("second run", _config(arguments.again), f"{arguments.again}/manifest.jsonl")
        return
    with tempfile.TemporaryDirectory() as folder, _server(arguments.s3) as bucket:
        root = f"{bucket}/{uuid.uuid4().hex}" if arguments.s3 else f"file://{folder}/corpus"
        manifest = make_corpus(Store(root), arguments.videos)
        measure("first run", _config(root), manifest)
        # In a process of its own: memory and caches of the first do not count.
        subprocess.run([sys.executable, "-m", "tests.benchmarks.driver", "--again", root], check=True)


def _config(root: str) -> WorkerConfig:
    return WorkerConfig(
        output=f"{root}/output", checkpoint="untrained", checkpoint_fingerprint="0" * 16, segmenter=SegmenterConfig()
    )


@contextmanager
def _server(wanted: bool) -> Iterator[str]:
    if not wanted:
        yield ""
        return
    with moto() as server:
        os.environ.update(server.environment)
        yield f"s3://{BUCKET}"


if __name__ == "__main__":
    main()
