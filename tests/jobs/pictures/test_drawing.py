import numpy as np
import pytest

from jobs.pictures.drawing import thickness, write_caption
from tests.jobs.pictures.shown import grey


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_captions_can_be_read_on_any_ground(ground: int) -> None:
    picture = grey(225, 400, ground)
    write_caption(picture, "frame 12", 14)
    changed = np.abs(picture.astype(int) - ground).max(axis=2)
    assert (changed > 100).sum() > 100
    assert not changed[:150].any() and not changed[:, 200:].any()


def test_lines_grow_with_the_picture() -> None:
    assert [thickness(grey(height, 10)) for height in (20, 480, 1080, 2160)] == [1, 1, 3, 6]
