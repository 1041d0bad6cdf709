"""Picture files to arrays."""

import cv2
import numpy as np

from pipeline.errors import InvalidInput
from pipeline.input.frames import Rgb
from pipeline.storage.store import Store


def decode_picture(data: bytes, name: str) -> Rgb:
    """A JPEG or PNG file as RGB [H, W, 3]; `name` starts the message. Raises InvalidInput for what is none."""
    # OpenCV raises for no bytes at all and returns nothing for bad ones.
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if picture is None:
        raise InvalidInput(f"{name}: is no whole JPEG or PNG picture; export or copy it again")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def read_picture(store: Store, name: str) -> Rgb:
    """A JPEG or PNG file of a store as RGB [H, W, 3]. Raises FileNotFoundError, InvalidInput, StoreUnavailable."""
    return decode_picture(store.get(name), store.url_of(name))
