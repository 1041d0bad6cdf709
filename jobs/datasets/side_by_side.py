"""Many small jobs that wait for stores: several at a time, their results in order, few of them in memory."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(do: Callable[[T], R], what: Iterable[T], threads: int) -> Iterator[R]:
    """What `do` gives for each, in their order; no more than four a thread are begun or wait. Raises as `do`."""
    waiting = iter(what)
    with ThreadPoolExecutor(threads) as pool:
        begun: list[Future[R]] = [pool.submit(do, one) for one in islice(waiting, 4 * threads)]
        while begun:
            yield begun.pop(0).result()
            begun += [pool.submit(do, one) for one in islice(waiting, 1)]
