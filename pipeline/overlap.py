"""Decoding, network and writing side by side: threads with queues between them, bounded in items and in bytes.

An error in a thread comes out where the other side next touches the queue; leaving the context always ends
the thread.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

T = TypeVar("T")
_POLL_S = 0.1


MOST_BYTES = 256 << 20
"""That wait in a queue, where items say how large they are; one item may wait whatever its size."""


class _Queue:
    """First in, first out; full at so many items, or with so many bytes."""

    def __init__(self, depth: int, size_of: Callable[[Any], int]) -> None:
        self._depth, self._size_of = depth, size_of
        self._items: deque[tuple[object, int]] = deque()
        self._bytes = 0
        self._changed = threading.Condition()

    def put(self, item: object, timeout: float) -> bool:
        """False when there was no room in time."""
        size = 0 if isinstance(item, _End) else self._size_of(item)
        with self._changed:
            if not self._changed.wait_for(lambda: self._has_room(size), timeout):
                return False
            self._items.append((item, size))
            self._bytes += size
            self._changed.notify_all()
        return True

    def get(self, timeout: float | None = None) -> object | None:
        """None when there was nothing in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: bool(self._items), timeout):
                return None
            item, size = self._items.popleft()
            self._bytes -= size
            self._changed.notify_all()
        return item

    def _has_room(self, size: int) -> bool:
        return not self._items or (len(self._items) < self._depth and self._bytes + size <= MOST_BYTES)


class _End:
    """What a thread puts behind its last item: nothing more, or the error that ended it."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class _Threaded:
    """A thread and a bounded queue, as a context manager."""

    def __init__(self, depth: int, size_of: Callable[[Any], int], name: str) -> None:
        self._queue = _Queue(depth, size_of)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def _run(self) -> None:
        raise NotImplementedError

    def _put(self, item: object) -> bool:
        """Wait for room; False when the other side has gone."""
        while not self._stop.is_set():
            if self._queue.put(item, timeout=_POLL_S):
                return True
        return False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()


class Ahead(_Threaded, Generic[T]):
    """Iterate over `source` in a thread: at most `depth` items wait, of at most `MOST_BYTES` by their `size_of`, and
    one is in the making."""

    def __init__(self, source: Iterator[T], depth: int, size_of: Callable[[T], int] = lambda _: 0) -> None:
        super().__init__(depth, size_of, "ahead")
        self._source = source

    def _run(self) -> None:
        end = _End()
        try:
            for item in self._source:
                if not self._put(item):
                    return
        except BaseException as error:
            end = _End(error)
        self._put(end)

    def __iter__(self) -> Iterator[T]:
        while True:
            item = self._queue.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item  # type: ignore[misc]


class Behind(_Threaded, Generic[T]):
    """Call `consume` on each item in a thread, at most `depth` items and `MOST_BYTES` by their `size_of` behind."""

    def __init__(self, consume: Callable[[T], None], depth: int, size_of: Callable[[T], int] = lambda _: 0) -> None:
        super().__init__(depth, size_of, "behind")
        self._consume = consume
        self._error: BaseException | None = None

    def add(self, item: T) -> None:
        """Hand an item over; waits for room. Raises what `consume` raised on an earlier one."""
        while not self._queue.put(item, timeout=_POLL_S):
            self._raise()
        self._raise()

    def finish(self) -> None:
        """Wait until every item is consumed. Raises what `consume` raised."""
        while not self._queue.put(_End(), timeout=_POLL_S):
            self._raise()
        self._thread.join()
        self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            self._stop.set()
            raise self._error

    def _run(self) -> None:
        while not self._stop.is_set():
            item = self._queue.get(timeout=_POLL_S)
            if item is None:
                continue
            if isinstance(item, _End):
                return
            try:
                self._consume(item)  # type: ignore[arg-type]
            except BaseException as error:
                self._error = error
                return


class Aside:
    """Calls one after the other in a thread, which ends with the process even if a call never returns.

    `ThreadPoolExecutor` would be waited for.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._thread: threading.Thread | None = None

    def submit(self, call: Callable[..., T], *arguments: object) -> Future[T]:
        """What `call(*arguments)` will give."""
        future: Future[T] = Future()
        self._calls.put(partial(_fulfil, future, call, *arguments))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        return future

    def close(self) -> None:
        """Wait for the calls submitted so far; for good."""
        self._calls.put(None)
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


def _fulfil(future: Future[T], call: Callable[..., T], *arguments: object) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call(*arguments))
    except BaseException as error:
        future.set_exception(error)
