"""Runs in a world: workers that need no time and write real tables, and what may happen to a driver."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Self

import numpy as np

from model.result import BankStatistics, FrameResult, ObjectStatistics
from model.segmenter import SegmenterConfig
from pipeline.errors import OutputInUse
from pipeline.input.frames import Frame
from pipeline.input.manifest import PromptSource, VideoTask
from pipeline.output.commits import FileRecord
from pipeline.output.layout import rows_path
from pipeline.output.writer import VideoWriter
from pipeline.run.attempt import Attempt, VideoOutcome
from pipeline.run.config import WorkerConfig
from pipeline.run.driver import Clocks, run
from pipeline.run.pool import Event
from pipeline.run.progress import WorkerCounts
from pipeline.storage.store import Store
from tests.pipeline.made_commits import make_commit
from tests.pipeline.protocol.world import Driver, Killed, World

_BY_DRIVER = ("attempts", "identity", "code_version", "committed_at", "run_id")
INPUTS = "memory://protocol-inputs"
FROZEN_S = 1000.0
"""Longer than a lease and any request last."""

Point = Callable[[World, Driver, str], None]


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


class InstantPool:
    """One worker after the other, each done as soon as it begins; its files are put by requests of the world."""

    def __init__(self, config: WorkerConfig) -> None:
        self._store = Store(config.output)
        self._width = config.segmenter.max_side
        self._events: list[Event] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def idle(self) -> int:
        return 1 - len(self._events)

    def submit(self, attempt: Attempt) -> None:
        video_id, files = attempt.task.video_id, {}
        for table, (data, record) in _tables(video_id, self._width).items():
            path = rows_path(table, video_id, attempt.name)
            self._store.put(path, data)
            files[table] = FileRecord(path=path, rows=record.rows, bytes=record.bytes, sha256=record.sha256)
        video = {name: value for name, value in make_commit(video_id).video.items() if name not in _BY_DRIVER}
        outcome = VideoOutcome(video_id=video_id, files=files, video=video)
        self._events.append(Event(attempt=attempt, result=outcome))

    def waiting(self) -> list[Attempt]:
        return []

    def wait(self, timeout_s: float) -> list[Event]:
        events, self._events = self._events, []
        return events

    def counts(self) -> WorkerCounts:
        return WorkerCounts()


def drive(
    world: World, names: str, setting: int, *, points: Mapping[int, Point] | None = None, name: str = "driver"
) -> tuple[str, Driver]:
    """One run over these videos with this `max_side`; how it ended."""
    driver = Driver(name=name, points=points or {})
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
        return ("failed" if summary.failed else "done"), driver
    except Killed:
        return "killed", driver
    except KeyboardInterrupt:
        return "interrupted", driver
    except OutputInUse:
        return "in use", driver
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
