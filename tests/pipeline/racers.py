"""Processes that race for the names of a store: `python -m tests.pipeline.racers URL PROCESSES NAMES CONTENDERS`.

Prints the names that each has won, as a JSON list of lists.
"""

import importlib
import json
import os
import subprocess
import sys

from pipeline.storage.store import Store


def race(url: str, processes: int, names: int, contenders: int) -> list[list[int]]:
    """The names, as numbers, that each process has won; so many `contenders` try for each name, in turn."""
    arguments = [url, *map(str, (processes, names, contenders))]
    command = [sys.executable, "-m", "tests.pipeline.racers", *arguments]
    result: list[list[int]] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return result


def content(racer: int) -> bytes:
    """What a racer writes: its own, and long enough to be torn."""
    return f"{racer} ".encode() * 5000


def wins(store: Store, racer: int, racers: int, names: int, contenders: int) -> list[int]:
    """The names that this racer tries for and wins."""
    tried = (name for name in range(names) if (name + racer) % racers < contenders)
    return [name for name in tried if store.create(str(name), content(racer))]


def check(store: Store, won: list[list[int]], names: int) -> None:
    """Every name has one winner, whose bytes are there, whole."""
    assert sorted(name for names in won for name in names) == list(range(names))
    assert len(store.list()) == names
    for racer, its_names in enumerate(won):
        assert {store.get(str(name)) for name in its_names} <= {content(racer)}


def _main(url: str, racers: int, names: int, contenders: int) -> None:
    if url.startswith("s3:"):
        importlib.import_module("s3fs")  # once, not in every process
    start, start_writer = os.pipe()
    readers = []
    for racer in range(racers):
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.close(start_writer)
            os.read(start, 1)  # returns when the last writer is closed: all begin together
            os.write(writer, json.dumps(wins(Store(url), racer, racers, names, contenders)).encode())
            os._exit(0)
        os.close(writer)
        readers.append(reader)
    os.close(start_writer)
    sys.stdout.write(json.dumps([json.loads(_read(reader)) for reader in readers]))


def _read(reader: int) -> bytes:
    with os.fdopen(reader, "rb") as file:
        return file.read()


if __name__ == "__main__":
    _main(sys.argv[1], *map(int, sys.argv[2:]))
