import pytest

from jobs.pictures.sheet import contact_sheet
from tests.jobs.pictures.shown import grey


def test_a_sheet_shows_frames_row_by_row() -> None:
    frames = [grey(90, 160, value) for value in (40, 80, 120, 160, 200)]
    sheet = contact_sheet(frames, columns=2, width=400, captions=[""] * 5)
    assert sheet.shape[1] == 400
    third = sheet.shape[0] // 3
    centres = [int(sheet[third * row + third // 2, 200 * column + 100, 0]) for row in range(3) for column in range(2)]
    assert centres[:5] == [40, 80, 120, 160, 200]
    assert centres[5] < 40


def test_a_sheet_needs_frames_and_their_captions() -> None:
    with pytest.raises(ValueError, match="0 frames"):
        contact_sheet([], columns=2, width=400, captions=[])
    with pytest.raises(ValueError, match="1 frames, 2 captions"):
        contact_sheet([grey()], columns=2, width=400, captions=["a", "b"])
