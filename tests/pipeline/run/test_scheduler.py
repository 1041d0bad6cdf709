"""Order, retries and giving up, without a clock."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.input.manifest import PromptSource, VideoTask
from pipeline.run.scheduler import Remedy, Scheduler, Work, cost, num_frames


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
    scheduler = Scheduler(make_work(costs), max_attempts=max_attempts, pause_s=1.0)
    running: list[str] = []
    attempts: Counter[str] = Counter()
    over: Counter[str] = Counter()
    failed: Counter[tuple[str, Remedy]] = Counter()

    def counted(video_id: str) -> int:
        return failed[video_id, Remedy.LATER]

    now_s = 0.0
    while not scheduler.done:
        while len(running) < workers and (job := scheduler.next(now_s)):
            attempts[job.task.video_id] += 1
            assert job.number == attempts[job.task.video_id]
            assert job.smaller_blocks == (failed[job.task.video_id, Remedy.SMALLER] > 0)
            assert counted(job.task.video_id) < max_attempts
            assert job.identity == job.task.video_id.replace("v", "i")
            running.append(job.task.video_id)
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
        if not scheduler.failed(video_id, remedy, now_s=now_s):
            assert (
                failed[video_id, Remedy.NONE]
                or failed[video_id, Remedy.SMALLER] == 2
                or counted(video_id) == max_attempts
            )
            over[video_id] += 1
        now_s += data.draw(st.sampled_from([0.0, 0.5, 8.0]))
    assert over == {f"v{n}": 1 for n in range(len(costs))}
    assert scheduler.next(now_s) is None and scheduler.wait_s(now_s) is None


@given(costs=st.lists(st.integers(0, 9), max_size=8))
def test_the_longest_goes_first_and_equals_keep_their_order(costs: list[float]) -> None:
    scheduler = Scheduler(make_work(costs))
    order = [int(job.task.video_id[1:]) for job in iter(lambda: scheduler.next(0.0), None)]
    assert order == sorted(range(len(costs)), key=lambda n: -costs[n])


def test_a_retry_waits_and_the_pause_doubles() -> None:
    scheduler = Scheduler(make_work([1.0]), max_attempts=3, pause_s=2.0, jitter=max)
    for failed_at_s, pause_s in ((10.0, 2.0), (20.0, 4.0)):
        assert scheduler.next(failed_at_s) is not None
        assert scheduler.failed("v0", Remedy.LATER, now_s=failed_at_s)
        assert scheduler.wait_s(failed_at_s + 0.5) == pytest.approx(pause_s - 0.5)
        assert scheduler.next(failed_at_s + pause_s - 0.01) is None
    assert scheduler.wait_s(99.0) == 0.0
    job = scheduler.next(99.0)
    assert job is not None and job.number == 3
    assert not scheduler.failed("v0", Remedy.LATER, now_s=99.0)
    assert scheduler.done


def test_others_go_on_while_a_retry_waits() -> None:
    scheduler = Scheduler(make_work([5.0, 1.0]))
    assert scheduler.next(0.0) is not None
    scheduler.failed("v0", Remedy.LATER, now_s=0.0)
    job = scheduler.next(0.0)
    assert job is not None and job.task.video_id == "v1"


def test_bad_input_is_not_tried_again() -> None:
    scheduler = Scheduler(make_work([1.0]))
    scheduler.next(0.0)
    assert not scheduler.failed("v0", Remedy.NONE, now_s=0.0)
    assert scheduler.done


def test_out_of_memory_is_tried_once_more_in_smaller_blocks_at_once() -> None:
    scheduler = Scheduler(make_work([1.0]))
    first = scheduler.next(0.0)
    assert first is not None and not first.smaller_blocks
    assert scheduler.failed("v0", Remedy.SMALLER, now_s=0.0)
    second = scheduler.next(0.0)
    assert second is not None and second.smaller_blocks and second.number == 2
    assert not scheduler.failed("v0", Remedy.SMALLER, now_s=0.0)
    assert scheduler.done


def test_smaller_blocks_stay_small_when_the_worker_is_lost() -> None:
    scheduler = Scheduler(make_work([1.0]))
    for remedy in (Remedy.SMALLER, Remedy.LATER):
        assert scheduler.next(99.0)
        assert scheduler.failed("v0", remedy, now_s=0.0)
    job = scheduler.next(99.0)
    assert job is not None and job.smaller_blocks


def test_preemption_is_nobody_s_fault() -> None:
    """However often a machine is taken away: the video is begun again at once, with a number of its own."""
    scheduler = Scheduler(make_work([1.0]), max_attempts=2)
    for number in range(1, 9):
        job = scheduler.next(0.0)
        assert job is not None and job.number == number
        assert scheduler.failed("v0", Remedy.ANEW, now_s=0.0)
    for more in (True, False):
        assert scheduler.next(99.0)
        assert scheduler.failed("v0", Remedy.LATER, now_s=0.0) is more


@given(jitter=st.floats(0, 1))
def test_pauses_differ_by_up_to_half(jitter: float) -> None:
    """Many that a store refused together do not come back together."""
    scheduler = Scheduler(make_work([1.0]), pause_s=4.0, jitter=lambda low, high: low + jitter * (high - low))
    scheduler.next(0.0)
    scheduler.failed("v0", Remedy.LATER, now_s=0.0)
    assert scheduler.wait_s(0.0) == pytest.approx(2.0 + 2.0 * jitter)


def test_it_is_not_done_while_a_video_runs() -> None:
    scheduler = Scheduler(make_work([1.0]))
    assert not scheduler.done
    scheduler.next(0.0)
    assert not scheduler.done and scheduler.next(0.0) is None and scheduler.wait_s(0.0) is None
    scheduler.succeeded("v0")
    assert scheduler.done


def test_the_cost_is_frames_times_pixels_times_channels() -> None:
    task = make_task(ids=(4, 9), num_frames=10, height=6, width=8)
    assert cost(task, size_bytes=1) == 10 * 6 * 8 * 3


def test_only_the_frames_of_a_span_cost() -> None:
    size: dict[str, Any] = {"height": 6, "width": 8}
    assert cost(make_task(num_frames=10, start_frame=7, **size), 1) == 3 * 48 * 2
    assert cost(make_task(num_frames=10, start_frame=2, end_frame=5, **size), 1) == 3 * 48 * 2
    assert cost(make_task(start_frame=2, end_frame=5, **size), 1) == 3 * 48 * 2


@pytest.mark.parametrize("columns", [{}, {"num_frames": 10}, {"height": 6, "width": 8}])
def test_without_counts_the_size_of_the_file_decides(columns: dict[str, Any]) -> None:
    task = make_task(**columns)
    assert 0 < cost(task, 1000) < cost(task, 2000)
    assert cost(make_task(ids=(1, 2, 3)), 1000) == 2 * cost(make_task(ids=(1,)), 1000)


def test_the_frames_of_a_task() -> None:
    assert num_frames(make_task()) is None
    assert num_frames(make_task(num_frames=10, start_frame=4)) == 6
    assert num_frames(make_task(start_frame=2, end_frame=5)) == 3
