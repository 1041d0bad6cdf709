"""Arrays to picture files.

Legend: H, W picture size.
"""

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs.pictures.colours import object_colour
from jobs.pictures.label_maps import LabelMap
from pipeline.input.frames import Rgb


def encode_jpeg(rgb: Rgb, *, quality: int) -> bytes:
    """A JPEG file of a picture [H, W, 3]; `quality` is 1 to 100."""
    _, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


def encode_png(values: NDArray[np.uint8]) -> bytes:
    """A PNG file of a picture [H, W, 3], or of grey values [H, W]."""
    return _png(Image.fromarray(values))


def encode_palette_png(labels: LabelMap) -> bytes:
    """A PNG file of labels [H, W] that viewers show in the colours of the objects; 0 is black."""
    picture = Image.fromarray(labels)
    colours = [(0, 0, 0), *(object_colour(number) for number in range(1, 256))]
    picture.putpalette([channel for colour in colours for channel in colour])
    return _png(picture)


def encode_indexed_png(values: NDArray[np.uint8], colours: NDArray[np.uint8]) -> bytes:
    """A PNG file of rows [H, W] of a table of colours [N, 4]: red, green, blue, opacity."""
    picture = Image.fromarray(values)
    picture.putpalette(colours[:, :3].tobytes())
    picture.info["transparency"] = colours[:, 3].tobytes()
    return _png(picture)


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
