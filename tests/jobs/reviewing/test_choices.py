"""Frames that are chosen without a look at the masks."""

from hypothesis import given
from hypothesis import strategies as st

from jobs.reviewing.choices import at_random, by_video, count, joined, uniform

candidates = st.dictionaries(st.sampled_from("abc"), st.lists(st.integers(0, 99), unique=True).map(sorted), min_size=1)


def test_uniform_frames_are_equally_spaced_over_all_videos() -> None:
    assert uniform({"a": range(1, 21), "b": range(1, 11)}, 3) == {"a": {6, 16}, "b": {6}}
    assert uniform({"a": range(9)}, 1) == {"a": {4}}


@given(candidates, st.integers(1, 400), st.integers(0, 5))
def test_as_many_frames_as_asked_for_and_only_candidates(frames: dict[str, list[int]], number: int, seed: int) -> None:
    every = sum(map(len, frames.values()))
    for choice in (uniform(frames, number), at_random(frames, number, seed)):
        assert count(choice) == min(number, every)
        assert all(chosen <= set(frames[name]) for name, chosen in choice.items())


def test_random_frames_are_the_seed_s_and_more_of_them_go_on() -> None:
    frames = {"a": range(50), "b": range(50)}
    few, more = at_random(frames, 5, 3), at_random(frames, 9, 3)
    assert joined(few, more) == more
    assert few != at_random(frames, 5, 4)


def test_choices_are_joined_by_video() -> None:
    assert joined(by_video([("a", 1), ("a", 1), ("b", 2)]), by_video([("a", 3)])) == {"a": {1, 3}, "b": {2}}
