"""The layout of stills: `images/NAME.jpg` (also .jpeg and .png) and `masks/NAME.png`."""

from jobs.datasets import listing
from jobs.datasets.masks import read_label_map
from jobs.pictures.decode import read_picture
from jobs.pictures.label_maps import LabelMap
from pipeline.errors import InvalidInput
from pipeline.input.frame_folder import PICTURE_CODECS
from pipeline.input.frames import Rgb
from pipeline.storage.store import Store

_PICTURES, _MASKS = "images", "masks"


def picture_names(folder: Store) -> list[str]:
    """The pictures in a folder of stills, perhaps none."""
    # In plain order, not the natural one: which clips a seed draws follows from it.
    return sorted(listing.files(folder, tuple(PICTURE_CODECS), _PICTURES))


def read_still(folder: Store, name: str) -> tuple[Rgb, LabelMap]:
    """A picture [H, W, 3] of `picture_names`, and its labels. Raises InvalidInput, StoreUnavailable."""
    mask = f"{_MASKS}/{listing.stem(name)}.png"
    try:
        labels = read_label_map(folder, mask)
    except FileNotFoundError:
        raise InvalidInput(f"{folder.url_of(mask)}: no such mask; draw it, or take {_PICTURES}/{name} away") from None
    return read_picture(folder, f"{_PICTURES}/{name}"), labels
