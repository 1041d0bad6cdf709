"""What tests ask of a store beyond what the pipeline needs."""

from pipeline.storage.retry import Retry
from pipeline.storage.store import Store


def exists(store: Store, name: str) -> bool:
    """Whether there is a file of that name."""
    folder, _, file = name.rpartition("/")
    return any(entry.name == file for entry in store.list(folder))


class Pauses:
    """A retry that takes no time: its clock goes on by the pauses alone."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.retry = Retry(clock=lambda: sum(self.seconds), sleep=self.seconds.append)
