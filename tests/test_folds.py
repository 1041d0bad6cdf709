"""docs/folds: three folds of ten sequences, fixed by a hash, with all kinds in each."""

import csv
import hashlib
from collections import Counter
from pathlib import Path

import pytest

FOLDS = Path(__file__).parent.parent / "docs/folds"
NUMBERS = (1, 2, 3)


def kinds() -> dict[str, str]:
    with (FOLDS / "kinds.csv").open() as file:
        return {row["sequence"]: row["kind"] for row in csv.DictReader(file)}


def names(file: str) -> list[str]:
    return (FOLDS / file).read_text().splitlines()


def dealt() -> dict[str, int]:
    """Kind by kind, in the order of a hash of the name, one to each fold in turn."""
    known = kinds()
    order = sorted(known, key=lambda name: (known[name], hashlib.sha256(name.encode()).hexdigest()))
    return {name: NUMBERS[place % len(NUMBERS)] for place, name in enumerate(order)}


@pytest.mark.parametrize("number", NUMBERS)
def test_a_fold_follows_from_names_and_kinds(number: int) -> None:
    assert names(f"{number}.txt") == sorted(name for name, fold in dealt().items() if fold == number)


@pytest.mark.parametrize("number", NUMBERS)
def test_what_is_learnt_from_is_all_but_the_fold(number: int) -> None:
    assert names(f"without-{number}.txt") == sorted(set(kinds()) - set(names(f"{number}.txt")))


def test_all_kinds_are_in_each_fold() -> None:
    known = kinds()
    counts = [Counter(known[name] for name in names(f"{number}.txt")) for number in NUMBERS]
    assert [sum(count.values()) for count in counts] == [10, 10, 10]
    for kind in set(known.values()):
        found = [count[kind] for count in counts]
        assert min(found) >= 2 and max(found) - min(found) <= 1
