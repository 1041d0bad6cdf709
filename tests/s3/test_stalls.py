"""Stores that stay silent: however long they hold a request up, the client gives up, and nothing committed is lost."""

import re
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from model.segmenter import SegmenterConfig
from pipeline.errors import PipelineError
from pipeline.input.manifest import PromptSource, VideoTask
from pipeline.run.config import WorkerConfig
from pipeline.run.driver import run
from pipeline.storage import backends
from pipeline.storage.store import Store
from tests.pipeline.protocol.drivers import InstantPool
from tests.s3.outputs import check_complete, check_readers
from tests.s3.servers import BUCKET, use
from tests.s3.stalls import Stage, Stall, Stalls, stalling

VIDEOS = {"a", "b"}
STAGES: Mapping[str, tuple[Stage, ...]] = {
    "PUT": ("continue", "body", "answer"),
    "GET": ("body", "answer"),
    "LIST": ("body", "answer"),
    "DELETE": ("body", "answer"),
}
LONGEST_WAIT_S = 60.0
TOGETHER = 6
"""Runs at a time: fewer than a client has connections, or one would wait for the stalls of another."""
_OUTPUT = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True)
class Case:
    """The `nth` request of its kind, counted from 1, is held up."""

    operation: str
    nth: int
    stall: Stall


@dataclass
class Cases:
    """What happens to which request, by the output that it is about."""

    armed: dict[str, Case] = field(default_factory=dict)
    seen: dict[str, Counter[str]] = field(default_factory=dict)
    """Of armed outputs."""

    def of(self, operation: str, path: str) -> Stall | None:
        match = _OUTPUT.search(path)
        if match is None or (case := self.armed.get(match[0])) is None:
            return None
        seen = self.seen.setdefault(match[0], Counter())
        seen[operation] += 1
        return case.stall if (operation, seen[operation]) == (case.operation, case.nth) else None


@dataclass
class Room:
    """A server behind the proxy, and what a run on it needs."""

    cases: Cases
    stalls: Stalls
    tasks: list[VideoTask]

    def drive(self, output: str, max_side: int) -> bool:
        """Whether a run was done; it may also say that the store failed."""
        config = WorkerConfig(
            output=f"s3://{BUCKET}/{output}",
            checkpoint="untrained",
            checkpoint_fingerprint="0" * 16,
            segmenter=SegmenterConfig(max_side=max_side),
        )
        try:
            return not run(self.tasks, config, InstantPool(config), grace_s=0.0, not_exclusive=True).failed
        except PipelineError:
            return False

    def superseded(self, case: Case) -> str:
        """The output of a run over an earlier one, to which it has happened."""
        output = uuid.uuid4().hex
        assert self.drive(output, 16)
        self.cases.armed[output] = case
        self.drive(output, 32)
        return output

    def operations(self) -> Counter[str]:
        """Of a run to which nothing happens."""
        return self.cases.seen[self.superseded(Case(operation="", nth=0, stall=Stall(stage="body", seconds=0.0)))]


@pytest.fixture(params=["moto_server", "rclone_server"])
def room(request: pytest.FixtureRequest, environment: pytest.MonkeyPatch) -> Iterator[Room]:
    cases = Cases()
    stalls = Stalls(cases.of)
    with stalling(request.getfixturevalue(request.param), stalls) as server:
        use(server, environment)
        yield Room(cases, stalls, _tasks())


def _tasks() -> list[VideoTask]:
    inputs = Store(f"s3://{BUCKET}/inputs-of-stalls")
    for name in VIDEOS:
        inputs.put(f"{name}.mp4", name.encode())
        inputs.put(f"{name}.png", name.encode())
    return [
        VideoTask(
            video_id=name,
            video_uri=f"{inputs.url}/{name}.mp4",
            prompts=(PromptSource(frame_index=0, mask_uri=f"{inputs.url}/{name}.png"),),
        )
        for name in sorted(VIDEOS)
    ]


def hold_all(room: Room, cases: list[Case], longest_s: float) -> None:
    """Nobody waits for longer than that, and nothing is lost then, when what was late has arrived, and in the end."""
    with ThreadPoolExecutor(TOGETHER) as threads:
        outputs = list(threads.map(room.superseded, cases))
        # Not all come: how often a lease is refreshed depends on the time that a run takes.
        assert len(room.stalls.waited_s) == room.stalls.begun >= 0.95 * len(cases)
        assert max(room.stalls.waited_s) < longest_s
        for output in outputs:
            assert check_readers(Store(f"s3://{BUCKET}/{output}")) == VIDEOS
        room.stalls.end()
        for output in outputs:
            assert check_readers(Store(f"s3://{BUCKET}/{output}")) == VIDEOS
        assert all(threads.map(lambda output: room.drive(output, 32), outputs))
    for output in outputs:
        check_complete(Store(f"s3://{BUCKET}/{output}"), VIDEOS)


@pytest.mark.slow
def test_a_client_gives_up_and_asks_again(room: Room, environment: pytest.MonkeyPatch) -> None:
    """The first commit, and one request of every other kind, with a shorter deadline."""
    backends._connect.cache_clear()
    environment.setattr(backends, "DEADLINE_S", 2.0)
    asked = {"PUT": 9, "GET": 2, "LIST": 8, "DELETE": 3}
    cases = [
        Case(operation=operation, nth=nth, stall=Stall(stage=stage, seconds=600.0))
        for operation, nth in asked.items()
        for stage in STAGES[operation]
    ]
    hold_all(room, cases, 10.0)


@pytest.mark.chaos
@pytest.mark.parametrize("seconds", [5.0, 70.0, 600.0])
def test_every_request_may_be_held_up(room: Room, seconds: float) -> None:
    """What is held up for 600 s arrives when all runs are over."""
    asked = room.operations()
    cases = [
        Case(operation=operation, nth=nth, stall=Stall(stage=stage, seconds=seconds))
        for operation, stages in STAGES.items()
        for stage in stages
        for nth in range(1, asked[operation] + 1)
    ]
    hold_all(room, cases, LONGEST_WAIT_S)
