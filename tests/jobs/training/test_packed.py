import numpy as np

from jobs.training.packed import PackedStill, PackedStills
from jobs.training.stills import Still
from tests.jobs.material import picture, two_boxes


def still(number: int) -> Still:
    return Still(name=f"{number}", picture=picture(number), labels=two_boxes(), smallest_share=0.5)


def test_a_packed_still_is_the_still() -> None:
    packed = PackedStill.of(still(1))
    assert len(packed.picture) + len(packed.labels) < picture(1).nbytes / 2
    found = packed.still()
    np.testing.assert_array_equal(found.labels, two_boxes())
    assert np.abs(found.picture.astype(int) - picture(1)).mean() < 4
    assert (found.name, found.smallest_share, found.object_ids()) == ("1", 0.5, [])


def test_they_are_a_sequence() -> None:
    packed = PackedStills([PackedStill.of(still(number)) for number in range(3)])
    assert [one.name for one in packed] == ["0", "1", "2"]
    assert [one.name for one in packed[1:]] == ["1", "2"]
    assert [one.name for one in packed + packed[:1]] == ["0", "1", "2", "0"]  # type: ignore[operator]
