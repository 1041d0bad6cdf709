"""A clip as files with a manifest, and a worker that segments it as in a run."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from jobs.benchmarks.material import Material
from jobs.benchmarks.setup import Setup
from jobs.datasets.manifests import build
from model.checkpoint import fingerprint
from model.segmenter import SegmenterConfig, VideoSegmenter
from pipeline.input.manifest import VideoTask, read_manifest
from pipeline.run.attempt import Attempt, VideoOutcome, Work
from pipeline.run.config import WorkerConfig
from pipeline.run.worker import VideoWorker


class Corpus:
    """Videos with their masks in a folder, and OUTPUT beside them."""

    def __init__(self, setup: Setup, folder: Path, tasks: Sequence[VideoTask], segmenter: SegmenterConfig) -> None:
        self.tasks = tasks
        self.config = WorkerConfig(
            output=str(folder / "output"),
            checkpoint=setup.checkpoint,
            checkpoint_fingerprint=fingerprint(setup.network),
            segmenter=segmenter,
            device="cuda" if setup.device.type == "cuda" else "cpu",
            capture=setup.capture,
            torch_threads=setup.threads,
        )
        self._attempts = 0

    @contextmanager
    def worker(self, make_segmenter: type[VideoSegmenter] = VideoSegmenter) -> Iterator[VideoWorker]:
        """A worker that is ready, for the time of the context."""
        with closing(VideoWorker(self.config, make_segmenter=make_segmenter)) as worker:
            worker.setup()
            yield worker

    def process(self, worker: VideoWorker) -> VideoOutcome:
        """Let it segment the first video, from the file to the tables."""
        self._attempts += 1
        work = Work(task=self.tasks[0], identity="benchmark", cost=1.0)
        return worker.process(Attempt(work=work, number=1, name=f"attempt-{self._attempts}"))


@contextmanager
def corpus(setup: Setup, clip: Material, segmenter: SegmenterConfig, *, videos: int = 1) -> Iterator[Corpus]:
    """So many videos of the clip, for the time of the context."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "videos"
        folder.mkdir()
        clip.write(folder / "clip-0.mp4", folder / "clip-0.png")
        for number in range(1, videos):
            for suffix in ("mp4", "png"):
                shutil.copy(folder / f"clip-0.{suffix}", folder / f"clip-{number}.{suffix}")
        manifest = str(folder / "manifest.jsonl")
        build("pairs", str(folder), manifest)
        yield Corpus(setup, Path(temporary), read_manifest(manifest), segmenter)
