"""What `vos-batch verify` costs: an output of many videos on local disk, with real tables in it.

    python -m tests.benchmarks.verify --videos 5000

Prints what it takes to read every byte, and what listings alone take, as `status` and `segment` look.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from pipeline.output.commits import create_commit
from pipeline.output.committed import read_committed
from pipeline.output.layout import FOLDERS, attempt_name, rows_path
from pipeline.output.marker import claim_output
from pipeline.output.verify import verify
from pipeline.output.videos import sync_videos
from pipeline.storage.store import Store
from tests.pipeline.made_commits import make_commit
from tests.pipeline.output.planted import RUN, tables_of


def make_output(folder: Path, videos: int) -> Store:
    """Without a run."""
    store = Store(str(folder))
    claim_output(store)
    for name in FOLDERS:
        (folder / name).mkdir(exist_ok=True)

    def make(index: int) -> None:
        video_id, files = f"clip-{index:06}", {}
        for table, (data, record) in tables_of.__wrapped__(video_id, 64).items():
            files[table] = replace(record, path=rows_path(table, video_id, attempt_name(RUN, 1)))
            (folder / files[table].path).write_bytes(data)
        create_commit(store, replace(make_commit(video_id), files=files))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(videos)))
    sync_videos(store, read_committed(store))
    return store


def measure(what: str, videos: int, action: Callable[[], str]) -> None:
    """Do it once and say what it took."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    said = action()
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    sys.stdout.write(
        f"{what}: {said}; wall {wall_s:.1f} s, CPU {cpu_s:.1f} s, {1e5 * wall_s / videos:.0f} s per 100,000 videos, "
        f"peak memory {memory:.2f} GB\n"
    )
    sys.stdout.flush()


def main() -> None:
    """Make an output and look at it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=5000)
    videos = parser.parse_args().videos
    with tempfile.TemporaryDirectory() as folder:
        store = make_output(Path(folder) / "out", videos)

        def listings() -> str:
            return f"{len(read_committed(store).current)} videos"

        def everything() -> str:
            report = verify(store)
            return f"{report.whole} of {report.videos} videos whole, {report.bytes / 1e6:.0f} MB"

        measure("listings", videos, listings)
        measure("every byte", videos, everything)


if __name__ == "__main__":
    main()
