"""Weights by name or URL -> network, for every process that needs them."""

from model import checkpoint
from model.errors import BadCheckpoint
from model.network import AFBURR
from pipeline.errors import InvalidCheckpoint
from pipeline.storage import read_url

DEFAULT_CHECKPOINT = "untrained"


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


def _read(name_or_url: str) -> bytes:
    try:
        return read_url(name_or_url)
    except FileNotFoundError as error:
        known = ", ".join(checkpoint.UNTRAINED)
        raise InvalidCheckpoint(
            f"no checkpoint {name_or_url!r}: give a file, a URL or one of the names {known}"
        ) from error
