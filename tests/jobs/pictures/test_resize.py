import numpy as np
import pytest

from jobs.pictures.resize import scaled, shrunk
from tests.jobs.material import picture, two_boxes


@pytest.mark.parametrize(("height", "width", "expected"), [(60, 80, (30, 40)), (80, 60, (40, 30)), (60, 61, (30, 30))])
def test_the_shorter_side_decides(height: int, width: int, expected: tuple[int, int]) -> None:
    assert shrunk(picture(1, height, width), 30).shape == (*expected, 3)


def test_nothing_is_enlarged() -> None:
    scene = picture(1, 60, 80)
    assert shrunk(scene, 60) is scene and shrunk(scene, 100) is scene


def test_labels_are_never_mixed() -> None:
    labels = np.where(two_boxes() == 2, 255, two_boxes()).astype(np.uint8)
    found = shrunk(labels, 37, labels=True)
    assert set(np.unique(found)) == {0, 1, 255}
    assert (found == 1).mean() == pytest.approx((labels == 1).mean(), abs=0.02)


def test_a_picture_of_a_width_keeps_its_proportions() -> None:
    for width, height in ((40, 30), (160, 120), (1, 1)):
        assert scaled(picture(1, 60, 80), width).shape == (height, width, 3)
    assert abs(float(scaled(picture(1, 60, 80), 40).mean()) - float(picture(1, 60, 80).mean())) < 2
