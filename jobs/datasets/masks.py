"""Masks of a dataset, from the store where it lies."""

from jobs.pictures.label_maps import LabelMap, as_label_map
from model.result import Labels
from pipeline.input.masks import read_mask
from pipeline.storage.store import Store


def read_labels(folder: Store, name: str, *, binary_masks: bool = False) -> Labels:
    """The labels [H, W] of a PNG in a folder; `binary_masks`: 255 is the object.

    Raises FileNotFoundError, InvalidPrompt for what is no mask, StoreUnavailable.
    """
    return read_mask(folder.get(name), folder.url_of(name), binary_masks=binary_masks)


def read_label_map(folder: Store, name: str) -> LabelMap:
    """The same as bytes. Raises as `read_labels`, and InvalidInput for ids that are too large."""
    return as_label_map(read_labels(folder, name), folder.url_of(name))
