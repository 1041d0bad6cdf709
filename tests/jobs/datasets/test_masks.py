import io
import uuid

import numpy as np
import pytest
from PIL import Image

from jobs.datasets.masks import read_label_map, read_labels
from jobs.pictures.encode import encode_png
from pipeline.errors import InvalidInput, InvalidPrompt
from pipeline.storage.store import Store
from tests.jobs.material import two_boxes


@pytest.fixture
def folder() -> Store:
    store = Store(f"memory://{uuid.uuid4().hex}")
    store.put("a.png", encode_png(two_boxes()))
    store.put("binary.png", encode_png((255 * (two_boxes() == 1)).astype(np.uint8)))
    wide = io.BytesIO()
    Image.fromarray(np.full((4, 4), 300, np.uint16)).save(wide, "PNG")
    store.put("wide.png", wide.getvalue())
    return store


def test_labels_are_read_as_they_are(folder: Store) -> None:
    np.testing.assert_array_equal(read_labels(folder, "a.png"), two_boxes())
    assert read_labels(folder, "wide.png").max() == 300


def test_binary_masks_need_the_word(folder: Store) -> None:
    with pytest.raises(InvalidPrompt, match=f"^{folder.url}/binary.png: holds only 0 and 255"):
        read_labels(folder, "binary.png")
    np.testing.assert_array_equal(read_labels(folder, "binary.png", binary_masks=True), two_boxes() == 1)


def test_label_maps_are_bytes(folder: Store) -> None:
    found = read_label_map(folder, "a.png")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, two_boxes())
    with pytest.raises(InvalidInput, match=f"^{folder.url}/wide.png: holds the id 300"):
        read_label_map(folder, "wide.png")
