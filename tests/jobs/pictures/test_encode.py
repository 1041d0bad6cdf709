import io

import numpy as np
from PIL import Image

from jobs.pictures.colours import object_colour
from jobs.pictures.encode import encode_jpeg, encode_palette_png, encode_png
from tests.jobs.material import picture, two_boxes

SCENE = picture(2)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_a_png_holds_the_picture_to_the_bit() -> None:
    np.testing.assert_array_equal(np.asarray(opened(encode_png(SCENE))), SCENE)
    np.testing.assert_array_equal(np.asarray(opened(encode_png(two_boxes()))), two_boxes())


def test_a_jpeg_is_rgb_and_smaller_at_a_lower_quality() -> None:
    errors = {}
    for quality in (20, 95):
        data = encode_jpeg(SCENE, quality=quality)
        found = opened(data)
        assert (found.format, found.mode) == ("JPEG", "RGB")
        errors[len(data)] = np.abs(np.asarray(found).astype(int) - SCENE).mean()
    assert errors[min(errors)] > errors[max(errors)] < 3


def test_a_palette_png_holds_ids_and_shows_colours() -> None:
    labels = two_boxes()
    labels[:3] = 255
    found = opened(encode_palette_png(labels))
    assert found.mode == "P"
    np.testing.assert_array_equal(np.asarray(found), labels)
    shown = np.asarray(found.convert("RGB"))
    for number, colour in ((0, (0, 0, 0)), (1, object_colour(1)), (2, object_colour(2)), (255, object_colour(255))):
        assert (shown[labels == number] == colour).all()
