"""What tests ask of a store beyond what the pipeline needs."""

from pipeline.storage import Store


def exists(store: Store, name: str) -> bool:
    """Whether there is a file of that name."""
    folder, _, file = name.rpartition("/")
    return any(entry.name == file for entry in store.list(folder))
