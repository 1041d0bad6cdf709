"""Still pictures as material: which may be trained on, and which are kept to measure what was learnt."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from jobs.datasets import coco, stills
from jobs.pictures.label_maps import LabelMap
from jobs.pictures.resize import shrunk
from model.result import VOID
from pipeline.errors import InvalidInput
from pipeline.input.frames import Rgb
from pipeline.storage.store import Store

_READERS = 8
_SHORTER_SIDE = 256
"""Larger pictures of COCO are made smaller, so that a corpus fits into memory; crops are about this size."""
SMALLEST_SHARE = 0.015
"""Objects of datasets below this share of the picture are too coarsely outlined to learn from."""
HELD_BACK = 10
"""Every tenth still, by a hash of its name, is never trained on: the composed clips of the evaluation use them."""


@dataclass(frozen=True, kw_only=True)
class Still:
    """A picture and its labels."""

    name: str
    picture: Rgb
    labels: LabelMap
    smallest_share: float = SMALLEST_SHARE
    """Objects below this share of the picture are not learnt from."""

    def object_ids(self) -> list[int]:
        """Objects large enough to learn from."""
        ids, counts = np.unique(self.labels, return_counts=True)
        least = self.smallest_share * self.labels.size
        return [int(i) for i, n in zip(ids, counts, strict=True) if i not in (0, VOID) and n >= least]


def is_held_back(name: str) -> bool:
    """Whether a still is kept for evaluation."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % HELD_BACK == 0


def has_held_back(folder: str) -> bool:
    """Whether a folder of stills holds any back."""
    return any(map(is_held_back, stills.picture_names(Store(folder))))


def read_stills(folder: str, *, held_back: bool = False) -> list[Still]:
    """The stills in a folder that may be trained on, or those that are held back.

    Raises InvalidInput where there is none, or for a picture or mask that is missing or damaged.
    """
    store = Store(folder)
    names = [name for name in stills.picture_names(store) if is_held_back(name) == held_back]
    if not names:
        which = "that are held back " if held_back else ""
        raise InvalidInput(f"no pictures {which}in {store.url_of('images')}: give a folder with images/ and masks/")
    with ThreadPoolExecutor(_READERS) as readers:
        return list(readers.map(lambda name: _still(store, name), names))


def _still(folder: Store, name: str) -> Still:
    picture, labels = stills.read_still(folder, name)
    return Still(name=name, picture=picture, labels=labels)


def read_coco(images: str, annotations: str, *, held_back: bool = False) -> list[Still]:
    """The same of the pictures below `images` that the JSON file `annotations` has instances of (paths or URLs).

    Raises InvalidInput for a file that is not in the format, or a picture that is missing or damaged.
    """
    store, instances = Store(images), coco.read_instances(annotations)
    names = [name for name in sorted(instances) if is_held_back(name) == held_back]
    with ThreadPoolExecutor(_READERS) as readers:
        return list(readers.map(lambda name: _annotated_still(store, name, instances[name]), names))


def _annotated_still(images: Store, name: str, instances: Sequence[coco.Instance]) -> Still:
    picture, labels = coco.read_annotated(images, name, instances)
    return Still(name=name, picture=shrunk(picture, _SHORTER_SIDE), labels=shrunk(labels, _SHORTER_SIDE, labels=True))


def usable(found: Sequence[Still]) -> list[Still]:
    """Those with an object that is large enough. Raises InvalidInput when there is none."""
    kept = [still for still in found if still.object_ids()]
    if not kept:
        raise InvalidInput(f"none of {len(found)} stills shows an object of {SMALLEST_SHARE:.1%} of its picture")
    return kept
