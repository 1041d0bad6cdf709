"""Weights by name or URL -> network, for every process that needs them."""

from model import checkpoint
from model.errors import BadCheckpoint
from model.network import AFBURR
from pipeline.errors import InvalidCheckpoint
from pipeline.storage.store import read_url

DEFAULT_CHECKPOINT = "lite0-open"


def load_network(name_or_url: str) -> AFBURR:
    """The network with its weights, on the CPU, in evaluation mode.

    Raises:
        InvalidCheckpoint: no such name or file, or not a checkpoint that fits.
    """
    if name_or_url in checkpoint.UNTRAINED:
        return checkpoint.load_untrained(name_or_url)
    try:
        return checkpoint.from_bytes(_read(name_or_url), name_or_url)
    except BadCheckpoint as error:
        raise InvalidCheckpoint(str(error)) from error


def load_official(url: str) -> AFBURR:
    """The network of a published AFB-URR checkpoint. Raises InvalidCheckpoint."""
    try:
        return checkpoint.from_official(_read(url), url)
    except BadCheckpoint as error:
        raise InvalidCheckpoint(str(error)) from error


def names() -> tuple[str, ...]:
    """All names that stand for weights: those in the box, and the untrained."""
    return (*checkpoint.boxed_names(), *checkpoint.UNTRAINED)


def read_card(name_or_url: str) -> dict[str, str]:
    """What a checkpoint says of itself: data, licence, steps, scores. Raises InvalidCheckpoint."""
    if name_or_url in checkpoint.UNTRAINED:
        return {"preset": checkpoint.UNTRAINED[name_or_url], "about": "random weights, for trying the machinery"}
    try:
        return checkpoint.read_card(_read(name_or_url), name_or_url)
    except BadCheckpoint as error:
        raise InvalidCheckpoint(str(error)) from error


def _read(name_or_url: str) -> bytes:
    if name_or_url in checkpoint.boxed_names():
        return checkpoint.read_boxed(name_or_url)
    try:
        return read_url(name_or_url)
    except FileNotFoundError as error:
        known = ", ".join(names())
        raise InvalidCheckpoint(
            f"no checkpoint {name_or_url!r}: give a file, a URL or one of the names {known}"
        ) from error
