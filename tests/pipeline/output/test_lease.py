"""One driver per OUTPUT: who is refused, who takes over, and what a driver that was silent finds out."""

import json
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import InvalidOutput, OutputInUse, StoreUnavailable
from pipeline.output.lease import Lease, LeaseTimes
from pipeline.storage.store import Store

NEVER = 1e6
SILENT = LeaseTimes(refresh_s=NEVER, doubt_s=NEVER)
"""Of a driver that is dead or paused: it takes the lease and is not heard of again."""
LIVELY = LeaseTimes(refresh_s=0.02)
SOON = LeaseTimes(refresh_s=0.05, stale_s=0.1)


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(str(tmp_path) if request.param == "file" else f"memory://{uuid.uuid4().hex}")


def drivers(store: Store) -> list[str]:
    return [entry.name for entry in store.list("_work")]


def dead_driver(store: Store, run_id: str = "dead") -> Lease:
    lease = Lease(store, run_id, times=SILENT)
    lease.__enter__()
    return lease


class TestTaking:
    def test_the_first_driver_leaves_nothing_but_its_file(self, store: Store) -> None:
        with Lease(store, "run") as lease:
            assert drivers(store) == ["driver.1"]
            assert lease.exclusive
        assert drivers(store) == ["driver.1"]

    def test_after_a_release_the_next_one_takes_it_without_waiting(self, store: Store) -> None:
        said: list[str] = []
        for run_id in ("first", "second", "third"):
            with Lease(store, run_id, tell=said.append) as lease:
                lease.check()
        assert drivers(store) == ["driver.3"]
        assert said == []

    def test_a_living_driver_is_respected_and_named(self, store: Store) -> None:
        said: list[str] = []
        with Lease(store, "first", times=LIVELY) as first:
            with pytest.raises(OutputInUse, match=r"driver \(host .*, pid \d+, run_id first\): wait until it is done"):
                Lease(store, "second", times=LIVELY, tell=said.append).__enter__()
            first.refresh()
        assert len(said) == 1 and "run_id first" in said[0] and "up to 60 s" in said[0]

    def test_a_dead_driver_is_waited_for_and_replaced(self, store: Store) -> None:
        dead_driver(store)
        with Lease(store, "second", times=SOON) as lease:
            lease.refresh()
            assert drivers(store) == ["driver.2"]
            assert lease.replaced == {"dead"}

    def test_a_driver_that_releases_while_another_waits_lets_it_in(self, store: Store) -> None:
        first = Lease(store, "first", times=SILENT)
        first.__enter__()
        with Lease(store, "second", times=LIVELY, tell=lambda _: first.__exit__(None, None, None)) as second:
            second.refresh()

    def test_of_many_at_a_time_one_gets_it(self, store: Store) -> None:
        """Who is starved for longer than a lease lasts may lose it to another, but at the end one holds it."""
        dead_driver(store)
        inside, outcomes = list[str](), list[str]()
        everyone_knows, start = threading.Event(), threading.Barrier(6)

        def contend(run_id: str) -> None:
            start.wait()
            try:
                with Lease(store, run_id, times=LeaseTimes(refresh_s=0.05, stale_s=0.3)) as lease:
                    inside.append(run_id)
                    everyone_knows.wait(30)
                    lease.refresh()
                    outcomes.append("held")
            except OutputInUse:
                outcomes.append("refused")

        threads = [threading.Thread(target=contend, args=(f"run-{n}",)) for n in range(6)]
        for thread in threads:
            thread.start()
        while len(inside) + len(outcomes) < 6:
            time.sleep(0.01)
        everyone_knows.set()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["held"] + ["refused"] * 5

    def test_a_file_that_is_no_lease_is_no_driver(self, store: Store) -> None:
        store.put("_work/driver.old", b"")
        store.put("_work/part", b"")
        with Lease(store, "run"):
            assert "driver.1" in drivers(store)

    def test_a_store_without_conditional_creates_is_refused(self, store: Store) -> None:
        ignore_conditions(store)
        with pytest.raises(InvalidOutput, match=r"ignores conditional writes \(If-None-Match\).*--not-exclusive"):
            Lease(store, "run").__enter__()
        assert drivers(store) == []

    def test_unless_it_is_accepted(self, store: Store) -> None:
        ignore_conditions(store)
        said: list[str] = []
        with Lease(store, "run", tell=said.append, not_exclusive=True) as lease:
            assert not lease.exclusive
        assert len(said) == 1 and store.url in said[0] and "start no second run" in said[0]

    def test_there_who_wrote_the_number_last_holds_it(self, store: Store) -> None:
        """Two drivers find no lease at the same time, and both create the first."""
        ignore_conditions(store)
        first = Lease(store, "first", times=SILENT, not_exclusive=True)
        first.__enter__()
        store.put("_work/driver.1", b'{"token": "of another driver", "run_id": "second"}')
        put, store.put = store.put, lambda name, data: None  # type: ignore[method-assign]
        with pytest.raises(OutputInUse, match="run_id second"):
            first.refresh()
        store.put = put  # type: ignore[method-assign]

    def test_numbers_rise_above_those_of_commits(self, store: Store) -> None:
        """Somebody emptied _work."""
        with Lease(store, "run") as lease:
            lease.rise_above(0)
            assert lease.number == 1
            lease.rise_above(7)
            assert lease.number == 8 and drivers(store) == ["driver.8"]
            lease.check()

    def test_who_was_replaced_does_not_rise_above_its_successor(self, store: Store) -> None:
        """Frozen while it read the commits, it finds those of the driver that took over."""
        first = dead_driver(store, "first")
        with Lease(store, "second", times=LeaseTimes(stale_s=0.0)) as second:
            pass
        with pytest.raises(OutputInUse, match="taken over by another driver"):
            first.rise_above(second.number)
        assert drivers(store)[-1] == "driver.2"

    def test_who_was_frozen_after_its_create_does_not_hold_an_old_number(self, store: Store) -> None:
        """Between its create and its look around, another driver waited, took over and has come and gone."""
        create, to_come = store.create, [True]

        def frozen_after(name: str, data: bytes) -> bool:
            created = create(name, data)
            if "driver." in name and to_come:
                to_come.clear()
                with Lease(store, "second", times=LeaseTimes(refresh_s=0.05, stale_s=0.0)):
                    pass
            return created

        store.create = frozen_after  # type: ignore[method-assign]
        with pytest.raises(OutputInUse, match="taken over by another driver"):
            Lease(store, "first", times=SILENT).__enter__()


def ignore_conditions(store: Store) -> None:
    def create(name: str, data: bytes) -> bool:
        store.put(name, data)
        return True

    store.create = create  # type: ignore[method-assign]


class TestHolding:
    def test_it_is_refreshed_as_time_goes(self, store: Store) -> None:
        def content() -> str:
            return str(json.loads(store.get("_work/driver.1"))["refresh"])

        with Lease(store, "run", times=LIVELY):
            first = content()
            for _ in range(1000):
                if content() != first:
                    break
                threading.Event().wait(0.01)
            assert content() != first

    def test_a_paused_driver_finds_out_that_another_took_over(self, store: Store) -> None:
        paused = dead_driver(store)
        with Lease(store, "second", times=SOON) as second:
            with pytest.raises(OutputInUse, match=r"taken over by another driver .*run_id second"):
                paused.refresh()
            with pytest.raises(OutputInUse):
                paused.check()
            second.refresh()

    def test_also_when_the_other_has_come_and_gone(self, store: Store) -> None:
        paused = dead_driver(store)
        with Lease(store, "second", times=SOON):
            pass
        with pytest.raises(OutputInUse):
            paused.refresh()
        paused.__exit__(None, None, None)
        assert drivers(store) == ["driver.1", "driver.2"]
        with Lease(store, "third"):
            assert drivers(store) == ["driver.3"]

    def test_one_that_wakes_up_while_another_takes_over_is_not_beside_it(self, store: Store) -> None:
        """Whatever the moment, of the two at most one goes on."""
        for moment in ("before", "after"):
            paused = dead_driver(store)
            second = Lease(store, "second", times=LeaseTimes(refresh_s=0.05, stale_s=0.0))
            create = store.create
            store.create = _around(create, paused.refresh, moment)  # type: ignore[method-assign]
            going_on = [_goes_on(second.__enter__), _goes_on(paused.refresh)]
            store.create = create  # type: ignore[method-assign]
            assert sum(going_on) == 1
            for lease in (second, paused):
                _goes_on(lambda lease=lease: lease.__exit__(None, None, None))

    def test_a_silent_store_is_no_loss_for_a_while(self, store: Store) -> None:
        now_s = 0.0
        lease = Lease(store, "run", times=LeaseTimes(refresh_s=NEVER, doubt_s=30.0), clock=lambda: now_s)
        with lease:
            put = store.put

            def unavailable(name: str, data: bytes) -> None:
                raise StoreUnavailable("no answer")

            store.put = unavailable  # type: ignore[method-assign]
            now_s = 29.0
            lease.check()
            now_s = 31.0
            with pytest.raises(StoreUnavailable):
                lease.check()
            store.put = put  # type: ignore[method-assign]
            lease.check()


def _around(
    create: Callable[[str, bytes], bool], refresh: Callable[[], None], moment: str
) -> Callable[[str, bytes], bool]:
    """A create during which, the first time that it is of a driver's file, the other driver wakes up."""
    to_come = [moment]

    def wrapped(name: str, data: bytes) -> bool:
        now = to_come.pop() if "driver." in name and to_come else None
        if now == "before":
            refresh()
        created = create(name, data)
        if now == "after":
            _goes_on(refresh)
        return created

    return wrapped


def _goes_on(action: Callable[[], object]) -> bool:
    try:
        action()
    except OutputInUse:
        return False
    return True
