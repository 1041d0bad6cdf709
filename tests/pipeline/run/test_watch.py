"""When an attempt counts as stuck, by a clock that a test sets."""

from pipeline.run.watch import Patience, Watch


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def limit_s(watch: Watch, clock: Clock) -> int:
    """After how many seconds it is overdue."""
    began_s = clock.now_s
    while watch.overdue() is None and clock.now_s < began_s + 10_000:
        clock.now_s += 1.0
    return int(clock.now_s - began_s) - 1


def test_the_first_frame_has_ten_minutes_and_more_where_frames_are_skipped() -> None:
    clock = Clock()
    watch = Watch(Patience(), clock)
    watch.opening(0)
    assert limit_s(watch, clock) == 600
    assert watch.overdue() == "not one frame in 601 s"
    watch.opening(9000)
    assert limit_s(watch, clock) == 1500


def test_a_frame_has_two_minutes_and_more_where_frames_are_slow() -> None:
    clock = Clock()
    watch = Watch(Patience(), clock)
    watch.opening(0)
    clock.now_s += 500.0  # the first one tells nothing of the others
    watch.frame()
    assert limit_s(watch, clock) == 120
    assert watch.overdue() == "no new frame in 121 s"
    for took_s in (30.0, 20.0, 1.0, 20.0):  # with the 121 s before
        watch.frame()
        clock.now_s += took_s
    watch.frame()
    assert limit_s(watch, clock) == 200


def test_another_attempt_has_frame_times_of_its_own() -> None:
    clock = Clock()
    watch = Watch(Patience(), clock)
    watch.opening(0)
    for _ in range(5):
        clock.now_s += 50.0
        watch.frame()
    watch.opening(0)
    watch.frame()
    assert limit_s(watch, clock) == 120


def test_before_and_after_an_attempt_nothing_is_overdue() -> None:
    clock = Clock()
    watch = Watch(Patience(), clock)
    assert limit_s(watch, clock) > 9_000
    watch.opening(0)
    watch.frame()
    watch.rest()
    assert limit_s(watch, clock) > 9_000
