"""Order, retries and giving up, without a clock."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Remedy
from pipeline.input.manifest import PromptSource, VideoTask
from pipeline.run.attempt import Work
from pipeline.run.scheduler import Scheduler

RUN = "20260102T030405-0123abcd"


def make_task(video_id: str = "v", *, ids: tuple[int, ...] | None = None, **columns: Any) -> VideoTask:
    prompt = PromptSource(frame_index=0, mask_uri="memory://m.png", object_ids=ids)
    return VideoTask(video_id=video_id, video_uri="memory://v.mp4", prompts=(prompt,), **columns)


def make_work(costs: list[float]) -> list[Work]:
    return [Work(task=make_task(f"v{n}"), identity=f"i{n}", cost=cost) for n, cost in enumerate(costs)]


@given(
    costs=st.lists(st.integers(0, 5), max_size=6),
    max_attempts=st.integers(1, 4),
    workers=st.integers(1, 3),
    data=st.data(),
)
def test_every_video_succeeds_or_is_given_up_in_few_attempts(
    costs: list[float], max_attempts: int, workers: int, data: st.DataObject
) -> None:
    scheduler = Scheduler(make_work(costs), RUN, max_attempts=max_attempts, pause_s=1.0)
    running: list[str] = []
    attempts: Counter[str] = Counter()
    over: Counter[str] = Counter()
    failed: Counter[tuple[str, Remedy]] = Counter()

    failed_on: dict[str, str] = {}

    def counted(video_id: str) -> int:
        return failed[video_id, Remedy.LATER]

    def for_memory(video_id: str) -> int:
        return failed[video_id, Remedy.SMALLER] + max(0, failed[video_id, Remedy.ROOM] - 1)

    now_s = 0.0
    while not scheduler.done:
        while len(running) < workers and (attempt := scheduler.next(now_s)):
            attempts[attempt.task.video_id] += 1
            assert attempt.number == attempts[attempt.task.video_id]
            assert attempt.name == f"{RUN}-{attempt.number}"
            assert attempt.smaller_blocks == (for_memory(attempt.task.video_id) > 0)
            assert attempt.not_on == failed_on.get(attempt.task.video_id)
            assert counted(attempt.task.video_id) < max_attempts
            assert attempt.work.identity == attempt.task.video_id.replace("v", "i")
            running.append(attempt.task.video_id)
        assert len(running) == len(set(running))
        if not running:
            wait_s = scheduler.wait_s(now_s)
            assert wait_s is not None
            now_s += wait_s
            continue
        video_id = running.pop(data.draw(st.integers(0, len(running) - 1)))
        remedy = data.draw(st.sampled_from([None, *Remedy]))
        if remedy is None:
            scheduler.succeeded(video_id)
            over[video_id] += 1
            continue
        failed[video_id, remedy] += 1
        worker = f"worker of attempt {attempts[video_id]}"
        again = scheduler.failed(video_id, remedy, now_s=now_s, worker=worker)
        if remedy is Remedy.ELSEWHERE:
            failed_on.setdefault(video_id, worker)
        assert again is not (
            failed[video_id, Remedy.NONE] > 0
            or failed[video_id, Remedy.ELSEWHERE] == 2
            or for_memory(video_id) == 2
            or counted(video_id) == max_attempts
        )
        if not again:
            over[video_id] += 1
        now_s += data.draw(st.sampled_from([0.0, 0.5, 8.0]))
    assert over == {f"v{n}": 1 for n in range(len(costs))}
    assert scheduler.next(now_s) is None and scheduler.wait_s(now_s) is None


@given(costs=st.lists(st.integers(0, 9), max_size=8))
def test_the_longest_goes_first_and_equals_keep_their_order(costs: list[float]) -> None:
    scheduler = Scheduler(make_work(costs), RUN)
    order = [int(attempt.task.video_id[1:]) for attempt in iter(lambda: scheduler.next(0.0), None)]
    assert order == sorted(range(len(costs)), key=lambda n: -costs[n])


def test_a_retry_waits_and_the_pause_doubles() -> None:
    scheduler = Scheduler(make_work([1.0]), RUN, max_attempts=3, pause_s=2.0, jitter=max)
    for failed_at_s, pause_s in ((10.0, 2.0), (20.0, 4.0)):
        assert scheduler.next(failed_at_s) is not None
        assert scheduler.failed("v0", Remedy.LATER, now_s=failed_at_s)
        assert scheduler.wait_s(failed_at_s + 0.5) == pytest.approx(pause_s - 0.5)
        assert scheduler.next(failed_at_s + pause_s - 0.01) is None
    assert scheduler.wait_s(99.0) == 0.0
    attempt = scheduler.next(99.0)
    assert attempt is not None and attempt.number == 3
    assert not scheduler.failed("v0", Remedy.LATER, now_s=99.0)
    assert scheduler.done


def test_others_go_on_while_a_retry_waits() -> None:
    scheduler = Scheduler(make_work([5.0, 1.0]), RUN)
    assert scheduler.next(0.0) is not None
    scheduler.failed("v0", Remedy.LATER, now_s=0.0)
    attempt = scheduler.next(0.0)
    assert attempt is not None and attempt.task.video_id == "v1"


def test_bad_input_is_not_tried_again() -> None:
    scheduler = Scheduler(make_work([1.0]), RUN)
    scheduler.next(0.0)
    assert not scheduler.failed("v0", Remedy.NONE, now_s=0.0)
    assert scheduler.done


def test_out_of_memory_is_tried_once_more_in_smaller_blocks_at_once() -> None:
    scheduler = Scheduler(make_work([1.0]), RUN)
    first = scheduler.next(0.0)
    assert first is not None and not first.smaller_blocks
    assert scheduler.failed("v0", Remedy.SMALLER, now_s=0.0)
    second = scheduler.next(0.0)
    assert second is not None and second.smaller_blocks and second.number == 2
    assert not scheduler.failed("v0", Remedy.SMALLER, now_s=0.0)
    assert scheduler.done


def test_smaller_blocks_stay_small_when_the_worker_is_lost() -> None:
    scheduler = Scheduler(make_work([1.0]), RUN)
    for remedy in (Remedy.SMALLER, Remedy.LATER):
        assert scheduler.next(99.0)
        assert scheduler.failed("v0", remedy, now_s=0.0)
    attempt = scheduler.next(99.0)
    assert attempt is not None and attempt.smaller_blocks


def test_what_may_be_the_worker_s_fault_is_tried_once_more_and_not_there() -> None:
    scheduler = Scheduler(make_work([1.0]), RUN)
    first = scheduler.next(0.0)
    assert first is not None and first.not_on is None
    assert scheduler.failed("v0", Remedy.ELSEWHERE, now_s=0.0, worker="w1")
    second = scheduler.next(0.0)
    assert second is not None and second.not_on == "w1" and not second.smaller_blocks
    assert not scheduler.failed("v0", Remedy.ELSEWHERE, now_s=0.0, worker="w2")
    assert scheduler.done


def test_a_full_machine_is_first_taken_to_be_full_of_others() -> None:
    scheduler = Scheduler(make_work([1.0]), RUN)
    for smaller_blocks, again in ((False, True), (False, True), (True, False)):
        attempt = scheduler.next(99.0)
        assert attempt is not None and attempt.smaller_blocks is smaller_blocks
        assert scheduler.failed("v0", Remedy.ROOM, now_s=0.0) is again
    assert scheduler.done


def test_in_doubt_the_shortest_goes_first_after_what_is_tried_again() -> None:
    scheduler = Scheduler(make_work([5.0, 1.0, 3.0]), RUN)
    assert scheduler.next(0.0) is not None
    scheduler.failed("v0", Remedy.ELSEWHERE, now_s=0.0)
    order = [attempt.task.video_id for attempt in iter(lambda: scheduler.next(0.0, shortest=True), None)]
    assert order == ["v0", "v1", "v2"]


def test_preemption_is_nobody_s_fault() -> None:
    """However often a machine is taken away: the video is begun again at once, with a number of its own."""
    scheduler = Scheduler(make_work([1.0]), RUN, max_attempts=2)
    for number in range(1, 9):
        attempt = scheduler.next(0.0)
        assert attempt is not None and attempt.number == number
        assert scheduler.failed("v0", Remedy.ANEW, now_s=0.0)
    for more in (True, False):
        assert scheduler.next(99.0)
        assert scheduler.failed("v0", Remedy.LATER, now_s=0.0) is more


@given(jitter=st.floats(0, 1))
def test_pauses_differ_by_up_to_half(jitter: float) -> None:
    """Many that a store refused together do not come back together."""
    scheduler = Scheduler(make_work([1.0]), RUN, pause_s=4.0, jitter=lambda low, high: low + jitter * (high - low))
    scheduler.next(0.0)
    scheduler.failed("v0", Remedy.LATER, now_s=0.0)
    assert scheduler.wait_s(0.0) == pytest.approx(2.0 + 2.0 * jitter)


def test_it_is_not_done_while_a_video_runs() -> None:
    scheduler = Scheduler(make_work([1.0]), RUN)
    assert not scheduler.done
    scheduler.next(0.0)
    assert not scheduler.done and scheduler.next(0.0) is None and scheduler.wait_s(0.0) is None
    scheduler.succeeded("v0")
    assert scheduler.done
