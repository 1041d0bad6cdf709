"""Who gets what, who is replaced, when nobody can start: whole runs over workers that need no time."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InvalidInput, MostAttemptsFail, Remedy, StoreUnavailable, WorkerLost
from pipeline.input.manifest import VideoTask
from pipeline.run.attempt import Attempt
from pipeline.run.crew import Crew
from pipeline.run.driver import Clocks, RunSummary, run
from pipeline.run.failure import Failure
from pipeline.run.progress import WorkerCounts
from tests.pipeline.attempts import attempt_at
from tests.pipeline.corpus import config_for, write_corpus
from tests.pipeline.plain_pool import Does, PlainMember, PlainPool, Starts
from tests.properties import costly

UNKNOWN = Failure(cause="RuntimeError", message="CUDA error", remedy=Remedy.ELSEWHERE)
REFUSED = Failure(cause="StoreUnavailable", message="no answer", remedy=Remedy.LATER)
BAD = Failure(cause="UnreadableVideo", message="garbage")


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> VideoTask:
    return write_corpus(tmp_path_factory.mktemp("corpus")).tasks[0]


Runs = Callable[..., tuple[RunSummary, PlainPool]]


@pytest.fixture
def runs(task: VideoTask, tmp_path: Path) -> Runs:
    """A run over many videos, the first ones taken to be the longest, and its pool."""

    def run_over(videos: int, does: Does, workers: int = 4) -> tuple[RunSummary, PlainPool]:
        tasks = [replace(task, video_id=f"v{n}", num_frames=2 * videos - n, height=1, width=1) for n in range(videos)]
        config = config_for(tmp_path / "out")
        pool = PlainPool(config.output, workers=workers, does=does)
        return run(tasks, config, pool, clocks=Clocks(monotonic_s=lambda: pool.now_s)), pool

    return run_over


def number(attempt: Attempt) -> int:
    return int(attempt.task.video_id[1:])


def on(member: PlainMember, failure: Failure) -> Failure:
    return replace(failure, worker=member.name)


class TestAnUnfitWorker:
    """Of four one fails everything, at once, while a video takes the others three seconds."""

    def test_it_is_replaced_and_every_video_is_done(self, runs: Runs) -> None:
        summary, pool = runs(200, lambda member, _: on(member, UNKNOWN) if member.name == "actor-1" else None)
        assert (summary.complete, summary.failed) == (200, {})
        assert pool.done_by["actor-1"] == 2
        assert pool.names == [f"actor-{n}" for n in range(1, 6)]

    def test_also_where_everybody_on_its_machine_does_the_same(self, runs: Runs) -> None:
        """Each of its successors may fail two first attempts, and none gets what another one has failed."""
        summary, pool = runs(200, lambda member, _: on(member, UNKNOWN) if member.place == 0 else None)
        assert (summary.complete, summary.failed) == (200, {})
        assert max(pool.done_by[name] for name in pool.names if name not in ("actor-2", "actor-3", "actor-4")) == 2
        assert len(pool.names) < 15  # by growing pauses

    def test_of_half_of_the_machines(self, runs: Runs) -> None:
        summary, _ = runs(200, lambda member, _: on(member, UNKNOWN) if member.place < 2 else None)
        assert summary.complete >= 198

    def test_one_whose_store_does_not_answer_it(self, runs: Runs) -> None:
        summary, pool = runs(200, lambda member, _: on(member, REFUSED) if member.name == "actor-1" else None)
        assert (summary.complete, pool.done_by["actor-1"]) == (200, 2)

    def test_a_pool_of_one_goes_on_with_a_fresh_one(self, runs: Runs) -> None:
        summary, pool = runs(20, lambda member, _: on(member, UNKNOWN) if member.name == "actor-1" else None, workers=1)
        assert (summary.complete, summary.failed) == (20, {})
        assert pool.done_by == {"actor-1": 2, "actor-2": 20}


class TestVideosThatAreToBlame:
    def test_bad_input_replaces_nobody_however_much_there_is(self, runs: Runs) -> None:
        summary, pool = runs(200, lambda _, attempt: BAD if number(attempt) % 10 else None)
        assert (summary.complete, len(summary.failed)) == (20, 180)
        assert len(pool.names) == 4 and sum(pool.done_by.values()) == 200

    @pytest.mark.parametrize("workers", [1, 4])
    def test_what_brings_out_a_bug_everywhere_is_given_up_after_two_workers(self, runs: Runs, workers: int) -> None:
        """Also where the first of all do, and twice as many as would end a run: short ones show that others work."""
        summary, pool = runs(
            120, lambda member, attempt: on(member, UNKNOWN) if number(attempt) < 20 else None, workers
        )
        assert summary.complete == 100
        assert sorted(summary.failed) == sorted(f"v{n}" for n in range(20))
        assert sum(pool.done_by.values()) == 140


class TestNothingWorks:
    @pytest.mark.parametrize("workers", [1, 4])
    @pytest.mark.parametrize("failure", [UNKNOWN, REFUSED], ids=["unknown", "store"])
    def test_a_run_in_which_all_fails_ends_and_says_why(self, runs: Runs, workers: int, failure: Failure) -> None:
        tried = set[str]()

        def fails(member: PlainMember, attempt: Attempt) -> Failure:
            tried.add(attempt.task.video_id)
            return on(member, failure)

        with pytest.raises(MostAttemptsFail, match=f"1[0-3] of them with {failure.cause}, at last: {failure.message}"):
            runs(200, fails, workers)
        assert len(tried) < 40


class TestStarts:
    def run(self, task: VideoTask, tmp_path: Path, workers: int, starts: Starts) -> tuple[RunSummary, PlainPool]:
        tasks = [replace(task, video_id=f"v{n}") for n in range(100)]
        config = config_for(tmp_path / "out")
        pool = PlainPool(config.output, workers=workers, starts=starts)
        return run(tasks, config, pool, clocks=Clocks(monotonic_s=lambda: pool.now_s)), pool

    @pytest.mark.parametrize("error", [InvalidInput("no GPU"), WorkerLost("gone")], ids=["wrong", "lost"])
    def test_a_place_where_none_starts_ends_no_run(self, task: VideoTask, tmp_path: Path, error: Exception) -> None:
        summary, pool = self.run(task, tmp_path, 64, lambda member: error if member.place == 7 else None)
        assert summary.complete == 100
        assert sum(pool.done_by.values()) == 100

    def test_one_that_works_is_enough(self, task: VideoTask, tmp_path: Path) -> None:
        error = InvalidInput("no GPU")
        summary, pool = self.run(task, tmp_path, 4, lambda member: error if member.place else None)
        assert summary.complete == 100 and list(pool.done_by) == ["actor-1"]

    def test_nor_does_a_node_that_dies_while_its_workers_start(self, task: VideoTask, tmp_path: Path) -> None:
        first = {"actor-1", "actor-2", "actor-3"}
        summary, pool = self.run(task, tmp_path, 4, lambda member: WorkerLost("x") if member.name in first else None)
        assert summary.complete == 100 and len(pool.names) == 7

    def test_a_fault_of_all_ends_it_with_the_first_more_than_half(self, task: VideoTask, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match="no GPU"):
            self.run(task, tmp_path, 4, lambda _: InvalidInput("no GPU"))

    def test_what_may_pass_is_tried_three_times_everywhere(self, task: VideoTask, tmp_path: Path) -> None:
        with pytest.raises(WorkerLost, match=r"no worker can start, 3 of 4 .* again: no answer"):
            self.run(task, tmp_path, 4, lambda _: StoreUnavailable("no answer"))

    def test_pauses_grow_up_to_a_minute(self, task: VideoTask, tmp_path: Path) -> None:
        pool = PlainPool(str(tmp_path), workers=2)
        (one, bad), now_s = pool.crew.members or [pool._start(), pool._start()], 0.0
        crew = Crew(iter([one, bad, *(PlainMember(pool, f"b{n}", 1) for n in range(9))]).__next__, 2)
        crew.start_due(0.0)
        one.ends_at = None
        crew.started(one)
        pauses = []
        for _ in range(8):
            crew.not_started(bad, WorkerLost("x"), now_s)
            due_s = next(t for t in range(200) if crew.start_due(now_s + t) or len(crew.members) == 2)
            pauses.append(due_s)
            bad, now_s = crew.members[1], now_s + due_s
        assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


class StillMember:
    """A worker that does what a test says."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.attempt: Attempt | None = None
        self.next: Attempt | None = None
        self.counts = WorkerCounts()
        self.up = False
        self.killed = False

    @property
    def idle(self) -> bool:
        return self.up and self.attempt is None

    def submit(self, attempt: Attempt) -> None:
        assert self.idle and not self.killed
        self.attempt = attempt

    def prepare(self, attempt: Attempt) -> None:
        self.next = attempt

    def kill(self) -> None:
        self.killed = True


@costly
@given(size=st.integers(1, 4), data=st.data())
def test_nothing_goes_back_to_the_worker_it_failed_on_and_nothing_is_forgotten(size: int, data: st.DataObject) -> None:
    """Whatever workers do, in whatever order: the scheduler's part is played by the test."""
    names = iter(range(1000))
    crew: Crew[StillMember] = Crew(lambda: StillMember(f"w{next(names)}"), size)
    crew.start_due(0.0)
    task = VideoTask(video_id="", video_uri="memory://v.mp4", prompts=())
    todo = [attempt_at(replace(task, video_id=f"v{n}")) for n in range(data.draw(st.integers(1, 6)))]
    left, failed_on, now_s = {attempt.task.video_id for attempt in todo}, dict[str, str](), 0.0
    for _ in range(data.draw(st.integers(0, 60))):
        now_s += 100.0
        crew.start_due(now_s)
        while todo and crew.idle():
            crew.submit(todo.pop())
        member = data.draw(st.sampled_from(crew.members))
        if not member.up:
            member.up = True
            crew.started(member)
        elif (attempt := member.attempt) is not None:
            video_id = attempt.task.video_id
            assert failed_on.get(video_id) != member.name
            member.attempt = None
            result = data.draw(st.sampled_from([UNKNOWN, BAD]))
            crew.over(member, result, now_s)
            if result is UNKNOWN and video_id not in failed_on:
                failed_on[video_id] = member.name
                todo.append(replace(attempt, not_on=member.name))
            else:
                left.discard(video_id)
        crew.hand_out()
        in_hand = [m.attempt for m in crew.members if m.attempt is not None]
        assert {a.task.video_id for a in [*todo, *crew.waiting(), *in_hand]} == left
    for _ in range(100):  # all get up, all goes well: nothing waits for ever
        now_s += 100.0
        crew.start_due(now_s)
        while todo and crew.idle():
            crew.submit(todo.pop())
        for member in crew.members:
            member.up = True
            if member.attempt is not None:
                left.discard(member.attempt.task.video_id)
                member.attempt = None
        crew.hand_out()
    assert left == set()
