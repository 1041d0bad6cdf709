import sys
from pathlib import Path

import numpy as np
import pytest
from rerun.chunk import RrdReader

from jobs.exports.losses import Loss
from pipeline.errors import InvalidInput
from tests.jobs.exports.outputs import FOLDER, UNICODE, Output, exported


def columns_of(path: Path) -> dict[str, dict[str, list[object]]]:
    """By entity the values of its columns, in the order of the frames."""
    found: dict[str, dict[str, list[object]]] = {}
    for chunk in RrdReader(str(path)).stream():
        columns = found.setdefault(chunk.entity_path, {})
        for name, values in chunk.to_record_batch().to_pydict().items():
            columns.setdefault(name, []).extend(values)
    return found


def test_rerun_reads_masks_and_curves(output: Output, tmp_path: Path) -> None:
    written = exported(output, "rrd", tmp_path / "to", manifest=output.manifest, classes=True)
    assert sorted(path.name for path in (tmp_path / "to").glob("*.rrd")) == [f"{UNICODE}.rrd", f"{FOLDER}.rrd"]
    found = columns_of(tmp_path / f"to/{FOLDER}.rrd")
    masks = found["/video/masks"]
    assert masks["frame"] == list(range(6))
    for t, pixels in enumerate(masks["SegmentationImage:buffer"]):
        labels = np.array(pixels[0], np.uint8).view(np.uint16).reshape(47, 61)
        for object_id in (1, 3, 300):
            truth = output.truth.get((FOLDER, t, object_id), np.zeros((47, 61), bool))
            assert np.array_equal(labels == object_id, truth)
    assert found["/uncertainty/300"]["frame"] == [0, 1, 2, 5]
    assert found["/score/1"]["Scalars:scalars"] == [[pytest.approx(0.9)]] * 6
    assert len(found["/video/picture"]["frame"]) == 6
    assert written.lost == {Loss.ABSENT: 2}


def test_without_its_library_it_says_what_to_install(
    output: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(InvalidInput, match=r"rrd needs the library of Rerun .*pip install 'vos-batch\[rerun\]'"):
        exported(output, "rrd", tmp_path / "to", manifest=output.manifest)
