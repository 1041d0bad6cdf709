"""Which object-frames a person should look at first."""

import random
from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.reviewing.quality import load_model
from jobs.reviewing.queue import Asking, Budget, QueueItem, queue_of, review_queue
from pipeline.errors import InvalidInput, InvalidOutput
from tests.jobs.evaluation.scored import labels, put_video, shrinking
from tests.jobs.reviewing.judged import judged, stretch
from tests.properties import costly

ITEMS = Budget(items=1_000)


def keys(items: Sequence[QueueItem]) -> list[tuple[str, int, int]]:
    return [(item.video_id, item.frame_index, item.object_id) for item in items]


def test_the_worst_event_of_all_videos_comes_first() -> None:
    mild = judged("mild", {1: stretch(100, *range(50, 60), j=0.6)})
    bad = judged("bad", {1: stretch(100), 7: stretch(100, *range(70, 80), j=0.1)})
    first, second = queue_of([mild, bad], Budget(items=2))
    assert keys([first]) == [("bad", 70, 7)]
    assert (first.first_frame, first.last_frame) == (70, 76)
    assert first.expected_j == pytest.approx(0.1)
    assert first.reasons == ("far from its prompt: 70 frames",)
    assert (second.video_id, second.frame_index) in {("bad", 77), ("mild", 50)}
    assert first.expected_gain > second.expected_gain


def test_of_whole_frames_the_objects_add_up_and_the_worst_names_the_item() -> None:
    both = judged("both", {1: stretch(90, *range(70, 75), j=0.5), 2: stretch(90, *range(70, 75), j=0.4)})
    one = judged("one", {1: stretch(90, *range(70, 75), j=0.2)})
    alone = queue_of([both, one], Budget(items=1))
    together = queue_of([both, one], Budget(items=1), Asking(whole_frames=True))
    assert keys(alone) == [("one", 70, 1)]
    assert keys(together) == [("both", 70, 2)]


def test_frames_that_cannot_be_asked_about_are_left_out() -> None:
    table = judged("v", {1: stretch(90, *range(70, 75))})
    found = queue_of([table], ITEMS, Asking(only={"v": [72, 10]}))
    assert keys(found) == [("v", 72, 1)] or keys(found) == [("v", 72, 1), ("v", 10, 1)]


def test_an_output_that_is_right_has_an_empty_queue() -> None:
    assert queue_of([judged("v", {1: [1.0] * 50})], ITEMS) == []


def test_an_object_is_not_asked_about_before_it_is_known() -> None:
    late = judged("v", {1: stretch(60, *range(20, 40))}, prompted=(0,)).slice(30)
    assert min(item.frame_index for item in queue_of([late], ITEMS)) >= 30


Q = st.lists(st.floats(0, 1, width=16), min_size=2, max_size=40)
tables = st.dictionaries(st.sampled_from("abcdef"), st.dictionaries(st.integers(1, 3), Q, min_size=1), min_size=1)
budgets = st.one_of(
    st.integers(1, 30).map(lambda n: Budget(items=n)), st.sampled_from([Budget(share=0.05), Budget(share=0.5)])
)


def made(videos: dict[str, dict[int, list[float]]]) -> list[pa.Table]:
    return [judged(name, objects, prompted=(0, 7)) for name, objects in videos.items()]


@costly
@given(tables, budgets, st.one_of(st.none(), st.integers(1, 4)), st.booleans(), st.randoms(use_true_random=False))
def test_what_every_queue_keeps(
    videos: dict[str, dict[int, list[float]]],
    budget: Budget,
    per_video: int | None,
    whole_frames: bool,
    shuffled: random.Random,
) -> None:
    found, asking = made(videos), Asking(per_video=per_video, whole_frames=whole_frames)
    items = queue_of(found, budget, asking)
    askable = sum(frame not in (0, 7) for one in videos.values() for js in one.values() for frame in range(len(js)))
    assert len(items) <= budget.most(askable)
    assert all(item.frame_index not in (0, 7) for item in items), "a prompted frame is never asked about"
    if per_video is not None:
        assert all(sum(item.video_id == name for item in items) <= per_video for name in videos)
    events = [
        (item.video_id, None if whole_frames else item.object_id, frame)
        for item in items
        for frame in range(item.first_frame, item.last_frame + 1)
    ]
    assert len(events) == len(set(events)), "no event is asked about twice"
    assert items == sorted(items, key=lambda item: item.rank)
    assert all(item.reasons for item in items)
    shuffled.shuffle(found)
    assert queue_of(found, budget, asking) == items, "whatever the order of the videos"
    assert queue_of(found, budget, asking, most_object_frames=max(askable, 1)) == items


@costly
@given(tables, st.integers(1, 10))
def test_a_smaller_budget_has_the_first_items_of_a_larger_one(
    videos: dict[str, dict[int, list[float]]], number: int
) -> None:
    assert queue_of(made(videos), Budget(items=number)) == queue_of(made(videos), ITEMS)[:number]


def test_equal_items_are_sorted_by_video_frame_and_object() -> None:
    same = stretch(80, *range(70, 73))
    found = queue_of([judged(name, {2: same, 1: same}) for name in "ba"], Budget(items=4))
    assert keys(found) == [("a", 70, 1), ("a", 70, 2), ("b", 70, 1), ("b", 70, 2)]


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("5%", Budget(share=0.05)),
        (" 2.5 % ", Budget(share=0.025)),
        ("100%", Budget(share=1.0)),
        ("12", Budget(items=12)),
    ],
)
def test_a_budget_is_a_share_or_a_number(text: str, budget: Budget) -> None:
    found = Budget.of(text)
    assert (found.items, found.share) == (budget.items, pytest.approx(budget.share) if budget.share else None)


@pytest.mark.parametrize("text", ["", "0", "-3", "0%", "101%", "five", "5 percent", "1e9", "3.5", "²"])
def test_another_budget_is_refused_with_what_to_give(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"--budget is .*: give a share of the object-frames, as 5%, or a number"):
        Budget.of(text)


def test_the_queue_of_an_output_is_made_of_its_tables(output: str) -> None:
    right, shrunk = shrinking(*[10] * 30), shrinking(*[10] * 20, *[1] * 10)
    put_video(output, "right", right, uncertainty=[None, *[0.02] * 29])
    put_video(output, "shrunk", shrunk, uncertainty=[None, *[0.02] * 19, *[0.6] * 10])
    seen = []
    items = review_queue(
        output, load_model(), Budget(items=3), shown=lambda videos, total: (seen.append(total), videos)[1]
    )
    assert items[0].video_id == "shrunk"
    assert 20 <= items[0].frame_index < 30
    assert any(reason.startswith("area / 10.0 since frame") for reason in items[0].reasons)
    assert seen == [2]


def test_an_output_that_is_none_is_refused(output: str) -> None:
    with pytest.raises(InvalidOutput, match="no vos-batch output"):
        review_queue(output, load_model(), ITEMS)


def test_an_empty_table_has_nothing_to_ask(output: str) -> None:
    put_video(output, "nothing", labels(0, 0, 0), prompted=())
    assert review_queue(output, load_model(), ITEMS) == []
