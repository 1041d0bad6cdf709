"""The layout of COCO: a folder of pictures and one JSON file of instances.

Format: https://cocodataset.org/#format-data (polygons, and run-length masks as counts or as compressed text).
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from jobs.pictures.decode import read_picture
from jobs.pictures.label_maps import LabelMap
from model.result import VOID
from pipeline.errors import InvalidInput
from pipeline.input.frames import Rgb
from pipeline.storage.store import Store, read_url

Instance = Mapping[str, Any]
"""An annotation as it stands in the file."""
_MOST_OBJECTS = VOID - 1


def read_instances(annotations: str) -> Mapping[str, Sequence[Instance]]:
    """The instances in a JSON file (path or URL) by the name of their picture. Raises InvalidInput for another file."""
    try:
        content = json.loads(read_url(annotations))
        names = {image["id"]: image["file_name"] for image in content["images"]}
        found: dict[str, list[Instance]] = defaultdict(list)
        for instance in content["annotations"]:
            found[names[instance["image_id"]]].append(instance)
    except FileNotFoundError:
        raise InvalidInput(f"{annotations}: no such file; name the JSON file of instances") from None
    except (ValueError, LookupError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise InvalidInput(
            f"{annotations} is no COCO file of instances ({reason}): give images and annotations"
        ) from error
    return found


def read_annotated(images: Store, name: str, instances: Iterable[Instance]) -> tuple[Rgb, LabelMap]:
    """A picture [H, W, 3] and the labels of its instances.

    Where instances overlap the smaller one is on top; crowds, and instances beyond the 254 largest, are void. Raises
    InvalidInput for a picture that is missing or an instance without a mask.
    """
    try:
        picture = read_picture(images, name)
    except FileNotFoundError:
        raise InvalidInput(f"{images.url_of(name)}: the annotations name this picture, but it is not there") from None
    return picture, _labels(name, instances, picture.shape[0], picture.shape[1])


def _labels(name: str, instances: Iterable[Instance], height: int, width: int) -> LabelMap:
    labels = np.zeros((height, width), np.uint8)
    masks = [(bool(one.get("iscrowd")), _mask(name, one, height, width)) for one in instances]
    crowds = [mask for crowd, mask in masks if crowd]
    largest_first = sorted((mask for crowd, mask in masks if not crowd), key=lambda mask: -int(mask.sum()))
    for mask in [*crowds, *largest_first[_MOST_OBJECTS:]]:
        labels[mask] = VOID
    for number, mask in enumerate(largest_first[:_MOST_OBJECTS], start=1):
        labels[mask] = number
    return labels


def _mask(name: str, instance: Instance, height: int, width: int) -> NDArray[np.bool_]:
    shape = instance.get("segmentation")
    try:
        if isinstance(shape, list):
            encoded = coco_mask.merge(coco_mask.frPyObjects(shape, height, width))
        elif isinstance(shape["counts"], list):  # type: ignore[index]
            encoded = coco_mask.frPyObjects(shape, height, width)
        else:
            encoded = shape
        mask = np.asarray(coco_mask.decode(encoded), bool)
    except (TypeError, ValueError, LookupError) as error:
        raise InvalidInput(f"{name}: instance {instance.get('id')} has no mask that can be read ({error})") from error
    if mask.shape != (height, width):
        size = f"{mask.shape[1]} x {mask.shape[0]}"
        raise InvalidInput(f"{name}: instance {instance.get('id')} is {size}, its picture {width} x {height}")
    return mask
