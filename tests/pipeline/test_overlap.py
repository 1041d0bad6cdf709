"""Threads on both sides of the network: order, bounds, errors, and that they always end."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import overlap
from pipeline.overlap import Ahead, Behind

PATIENCE_S = 10.0


class Broken(Exception):
    pass


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def settled(count: Callable[[], int]) -> int:
    """A count after it has stopped growing."""
    seen = -1
    while seen != count():
        seen = count()
        time.sleep(0.15)
    return seen


class Counting:
    """An endless source that tells how far it was read."""

    def __init__(self) -> None:
        self.taken = 0

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        self.taken += 1
        return self.taken - 1


class TestAhead:
    @given(items=st.lists(st.integers(), max_size=20), depth=st.integers(1, 5))
    def test_every_item_comes_once_and_in_order(self, items: list[int], depth: int) -> None:
        with Ahead(iter(items), depth) as ahead:
            assert list(ahead) == items

    @pytest.mark.parametrize("depth", [1, 4])
    def test_at_most_depth_items_wait(self, depth: int) -> None:
        source = Counting()
        with Ahead(source, depth) as ahead:
            # One more is in the thread's hand, for which there is no room yet.
            eventually(lambda: source.taken >= depth)
            assert settled(lambda: source.taken) <= depth + 1
            assert [item for item, _ in zip(ahead, range(5), strict=False)] == [0, 1, 2, 3, 4]
            assert settled(lambda: source.taken) <= 6 + depth + 1

    def test_it_reads_ahead_of_the_consumer(self) -> None:
        source = Counting()
        with Ahead(source, 3):
            eventually(lambda: source.taken >= 3)

    def test_an_error_comes_out_behind_the_items_before_it(self) -> None:
        def source() -> Iterator[int]:
            yield 1
            yield 2
            raise Broken("the third")

        with Ahead(source(), 8) as ahead:
            items = iter(ahead)
            assert [next(items), next(items)] == [1, 2]
            with pytest.raises(Broken, match="the third"):
                next(items)

    def test_the_thread_ends_when_the_consumer_leaves_early(self) -> None:
        source = Counting()
        with Ahead(source, 2) as ahead:
            assert next(iter(ahead)) == 0
        taken = source.taken
        time.sleep(0.15)
        assert source.taken == taken

    def test_the_thread_ends_when_the_consumer_fails(self) -> None:
        with pytest.raises(Broken), Ahead(Counting(), 2):
            raise Broken

    def test_large_items_wait_one_by_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(overlap, "MOST_BYTES", 100)
        source = Counting()
        with Ahead(source, 8, lambda _: 40) as ahead:
            assert settled(lambda: source.taken) == 3  # two wait, one is in the thread's hand
            assert [item for item, _ in zip(ahead, range(5), strict=False)] == [0, 1, 2, 3, 4]
        with Ahead(source := Counting(), 8, lambda _: 1000) as ahead:
            assert settled(lambda: source.taken) == 2
            assert [item for item, _ in zip(ahead, range(5), strict=False)] == [0, 1, 2, 3, 4]


class TestBehind:
    @given(items=st.lists(st.integers(), max_size=20), depth=st.integers(1, 5))
    def test_every_item_is_consumed_once_and_in_order(self, items: list[int], depth: int) -> None:
        consumed: list[int] = []
        with Behind(consumed.append, depth) as behind:
            for item in items:
                behind.add(item)
            behind.finish()
            assert consumed == items

    def test_finish_waits_for_a_slow_consumer(self) -> None:
        consumed: list[int] = []

        def slowly(item: int) -> None:
            time.sleep(0.02)
            consumed.append(item)

        with Behind(slowly, 8) as behind:
            for item in range(5):
                behind.add(item)
            behind.finish()
            assert consumed == [0, 1, 2, 3, 4]

    @pytest.mark.parametrize("depth", [1, 3])
    def test_at_most_depth_items_wait(self, depth: int) -> None:
        gate, added = threading.Event(), 0

        def produce(behind: Behind[int]) -> None:
            nonlocal added
            for item in range(10):
                behind.add(item)
                added += 1

        with Behind[int](lambda _: _wait_for(gate), depth) as behind:
            producer = threading.Thread(target=produce, args=(behind,))
            producer.start()
            # One is being consumed.
            eventually(lambda: added >= depth + 1)
            assert settled(lambda: added) == depth + 1
            gate.set()
            producer.join()
            behind.finish()
        assert added == 10

    def test_large_items_wait_one_by_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(overlap, "MOST_BYTES", 100)
        gate, added = threading.Event(), 0

        def produce(behind: Behind[int]) -> None:
            nonlocal added
            for item in range(10):
                behind.add(item)
                added += 1

        with Behind[int](lambda _: _wait_for(gate), 8, lambda _: 40) as behind:
            producer = threading.Thread(target=produce, args=(behind,))
            producer.start()
            assert settled(lambda: added) == 3  # one is being consumed, two wait
            gate.set()
            producer.join()
            behind.finish()
        assert added == 10

    def test_the_consumers_error_comes_out_at_the_next_add(self) -> None:
        with Behind(_fail, 2) as behind, pytest.raises(Broken, match="item 0"):
            for item in range(100):
                behind.add(item)

    def test_the_consumers_error_comes_out_at_finish(self) -> None:
        with Behind(_fail, 2) as behind:
            behind.add(0)
            with pytest.raises(Broken, match="item 0"):
                behind.finish()

    def test_finish_raises_when_the_consumer_fails_before_a_full_queue(self) -> None:
        gate = threading.Event()
        raised: list[BaseException] = []

        def fail_later(item: int) -> None:
            _wait_for(gate)
            _fail(item)

        def finish(behind: Behind[int]) -> None:
            try:
                behind.finish()
            except Broken as error:
                raised.append(error)

        with Behind(fail_later, 1) as behind:
            behind.add(0)
            behind.add(1)
            finisher = threading.Thread(target=finish, args=(behind,))
            finisher.start()
            gate.set()
            finisher.join(2)
            hangs = finisher.is_alive()
        finisher.join()
        assert not hangs
        assert [str(error) for error in raised] == ["item 0"]

    def test_nothing_more_is_consumed_once_the_producer_has_failed(self) -> None:
        consumed: list[int] = []

        def slowly(item: int) -> None:
            time.sleep(0.05)
            consumed.append(item)

        with pytest.raises(Broken), Behind(slowly, 8) as behind:
            for item in range(8):
                behind.add(item)
            raise Broken
        assert len(consumed) < 8


def _fail(item: int) -> None:
    raise Broken(f"item {item}")


def _wait_for(gate: threading.Event) -> None:
    assert gate.wait(PATIENCE_S)
