"""Runs in a world: workers that need no time and write real tables, and what may happen to a driver."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np

from model.result import BankStatistics, FrameResult, ObjectStatistics
from model.segmenter import SegmenterConfig
from pipeline.errors import OutputInUse
from pipeline.input.frames import Frame
from pipeline.input.manifest import PromptSource, VideoTask
from pipeline.output.commits import FileRecord
from pipeline.output.writer import VideoWriter
from pipeline.run.config import WorkerConfig
from pipeline.run.driver import Clocks, run
from pipeline.storage.store import Store
from tests.pipeline.finished_pool import FinishedPool
from tests.pipeline.protocol.world import Driver, Killed, Point, World

INPUTS = "memory://protocol-inputs"
FROZEN_S = 1000.0
"""Longer than a lease and any request last."""


def tasks(names: str) -> list[VideoTask]:
    """One video a letter; their inputs are there."""
    store = Store(INPUTS)
    known = {entry.name for entry in store.list()}
    for name in names:
        for file in (f"{name}.mp4", f"{name}.png"):
            if file not in known:
                store.put(file, name.encode())
    return [
        VideoTask(
            video_id=name,
            video_uri=f"{INPUTS}/{name}.mp4",
            prompts=(PromptSource(frame_index=0, mask_uri=f"{INPUTS}/{name}.png"),),
        )
        for name in names
    ]


@lru_cache
def _tables(video_id: str, width: int) -> Mapping[str, tuple[bytes, FileRecord]]:
    """The files of a video of one frame, `width` pixels wide, and their records under any name."""
    scratch = Store("memory://protocol-scratch")
    labels = np.zeros((4, width), np.int32)
    labels[:2] = 1
    frame = Frame(index=0, name=None, timestamp_us=0, rgb=np.zeros((4, width, 3), np.uint8), damaged=False)
    thing = ObjectStatistics(object_id=1, score=None, uncertainty=None)
    result = FrameResult(labels=labels, objects=(thing,), statistics=None, bank=BankStatistics(), prompted=True)
    with VideoWriter(scratch, video_id, f"{width}") as writer:
        writer.add(frame, result)
        files = writer.finish()
    return {table: (scratch.get(record.path), record) for table, record in files.items()}


class InstantPool(FinishedPool):
    """One worker after the other, each done as soon as it begins; its files are put by requests of the world."""

    slots = 1

    def __init__(self, config: WorkerConfig) -> None:
        super().__init__(config.output)
        self._width = config.segmenter.max_side

    def write(self, video_id: str, paths: Mapping[str, str]) -> dict[str, FileRecord]:
        files = {}
        for table, (data, record) in _tables(video_id, self._width).items():
            self._store.put(paths[table], data)
            files[table] = replace(record, path=paths[table])
        return files


def drive(world: World, names: str, setting: int, *, name: str = "driver") -> str:
    """One run over these videos with this `max_side`; how it ended."""
    driver = Driver(name=name)
    config = WorkerConfig(
        output=world.store.url,
        checkpoint="untrained",
        checkpoint_fingerprint="0" * 16,
        segmenter=SegmenterConfig(max_side=setting),
    )
    with world.quiet():
        todo = tasks(names)
    world.drivers.append(driver)
    clocks = Clocks(monotonic_s=lambda: world.now_s, now=world.now, sleep=world.sleep)
    try:
        summary = run(todo, config, InstantPool(config), stop=lambda: driver.stopped, clocks=clocks)
        return "failed" if summary.failed else "done"
    except Killed:
        return "killed"
    except KeyboardInterrupt:
        return "interrupted"
    except OutputInUse:
        return "in use"
    finally:
        world.drivers.pop()


def crash(_world: World, driver: Driver, now: str) -> None:
    """The process ends."""
    driver.dead = True


def lose_answer(_world: World, _driver: Driver, now: str) -> None:
    """The request is done, and the connection breaks before the answer."""
    if now == "after":
        raise ConnectionError("the answer was lost")


def signal(_world: World, driver: Driver, now: str) -> None:
    """Ctrl-C or SIGTERM."""
    driver.stopped = True


def freeze(names: str, setting: int) -> Point:
    """For long; meanwhile another driver does these videos with its own setting."""

    def happen(world: World, _driver: Driver, now: str) -> None:
        if now == "before":
            world.sleep(FROZEN_S)
            drive(world, names, setting, name="the other")
            world.sleep(1.0)

    return happen


EVERYTHING: Mapping[str, Point] = {
    "crash": crash,
    "lost answer": lose_answer,
    "signal": signal,
    "freeze beside the same": freeze("ab", 32),
    "freeze beside other settings": freeze("ab", 48),
    "freeze beside a subset": freeze("a", 32),
    "freeze beside a superset": freeze("abc", 32),
}
"""What may happen at an operation, by name. What happens after one happens before the next."""
