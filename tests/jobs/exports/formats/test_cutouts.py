from pathlib import Path

import numpy as np
from PIL import Image

from tests.jobs.exports.outputs import FOLDER, UNICODE, Output, exported


def test_alpha_is_the_mask_and_colours_are_the_frames(output: Output, tmp_path: Path) -> None:
    exported(output, "cutouts", tmp_path / "to", manifest=output.manifest)
    found = {path.relative_to(tmp_path / "to").as_posix() for path in (tmp_path / "to").rglob("*.png")}
    assert found == {
        f"{video}/{object_id}/{8 + t}.png" if video == FOLDER else f"{UNICODE}/{object_id}/{t:05d}.png"
        for video, t, object_id in output.truth
    }
    with Image.open(tmp_path / f"to/{FOLDER}/1/10.png") as picture:
        assert picture.mode == "RGBA"
        cut = np.asarray(picture)
    mask = output.truth[FOLDER, 2, 1]
    rows, columns = (
        slice(np.nonzero(mask.any(axis))[0].min(), np.nonzero(mask.any(axis))[0].max() + 1) for axis in (1, 0)
    )
    assert np.array_equal(cut[..., 3] == 255, mask[rows, columns])
    frame = np.asarray(Image.open(Path(output.manifest).parent / "pictures/10.png").convert("RGB"))
    assert np.array_equal(cut[mask[rows, columns]][:, :3], frame[mask])
    assert not cut[~mask[rows, columns]].any()
