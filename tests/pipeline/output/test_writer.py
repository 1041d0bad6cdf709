import hashlib
import tempfile
import uuid
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from pycocotools import mask as coco

from model.result import BankStatistics, FrameResult, FrameStatistics, Labels, ObjectStatistics
from pipeline.errors import StoreUnavailable
from pipeline.output.commits import FileRecord
from pipeline.output.layout import safe_name
from pipeline.output.schema import SCHEMAS
from pipeline.output.writer import VideoWriter
from pipeline.storage.store import Store

STATISTICS = FrameStatistics(
    uncertainty_mean=0.125,
    uncertainty_p50=0.0,
    uncertainty_p95=0.5,
    uncertainty_max=1.0,
    uncertain_fraction=0.25,
    margin=0.75,
    entropy=0.375,
)
BANK = BankStatistics(size=40, merged=5, appended=4, evicted=3, dropped=2, protected_share=0.5)


@dataclass(frozen=True)
class Info:
    index: int
    name: str | None = None
    timestamp_us: int | None = None
    damaged: bool = False


def make_result(labels: Labels, object_ids: tuple[int, ...], *, predicted: bool = True) -> FrameResult:
    value = 0.5 if predicted else None
    return FrameResult(
        labels=labels,
        objects=tuple(ObjectStatistics(object_id=i, score=value, uncertainty=value) for i in object_ids),
        statistics=STATISTICS if predicted else None,
        bank=BANK,
        prompted=not predicted,
    )


def two_squares(index: int) -> FrameResult:
    labels = np.zeros((6, 8), np.int32)
    labels[1:4, index : index + 2] = 1
    labels[4:6, 5:8] = 3
    return make_result(labels, (1, 3))


@pytest.fixture
def store() -> Store:
    return Store(f"memory://{uuid.uuid4().hex}")


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def write(store: Store, attempt: str = "1", frames: int = 5, video_id: str = "clip") -> dict[str, FileRecord]:
    with VideoWriter(store, video_id, attempt) as writer:
        for index in range(frames):
            writer.add(Info(index, timestamp_us=index * 40_000), two_squares(index))
        return writer.finish()


def rows(store: Store, record: FileRecord) -> list[dict[str, object]]:
    with store.open(record.path) as file:
        return list(pq.read_table(file).to_pylist())


@given(
    labels=st_numpy.arrays(
        np.int32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([0, 1, 3, 300])
    )
)
def test_masks_decode_to_the_labels(labels: Labels) -> None:
    store = Store(f"memory://{uuid.uuid4().hex}")
    with VideoWriter(store, "clip", "1") as writer:
        writer.add(Info(0), make_result(labels, (1, 3, 300)))
        masks = rows(store, writer.finish()["masks"])
    assert [row["object_id"] for row in masks] == [1, 3, 300]
    for row in masks:
        mask = labels == row["object_id"]
        assert np.array_equal(decode(row), mask)
        assert row["area"] == mask.sum() and row["present"] == mask.any()
        assert [row[f"bbox_{side}"] for side in "xywh"] == tight_box(mask)


def decode(row: dict[str, object]) -> np.ndarray:
    with warnings.catch_warnings():
        # pycocotools 2.0.11 has no `copy` in __array__, which numpy 2 asks for.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        return np.asarray(coco.decode({"size": [row["height"], row["width"]], "counts": row["rle"]}), bool)


def tight_box(mask: np.ndarray) -> list[int | None]:
    if not mask.any():
        return [None] * 4
    ys, xs = np.nonzero(mask)
    return [xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1]


def test_absent_object_is_an_empty_row(store: Store) -> None:
    with VideoWriter(store, "clip", "1") as writer:
        writer.add(Info(7, timestamp_us=280_000), make_result(np.ones((4, 5), np.int32), (1, 2)))
        present, absent = rows(store, writer.finish()["masks"])
    assert (present["present"], present["score"], present["uncertainty"]) == (True, 0.5, 0.5)
    assert (absent["present"], absent["area"], absent["score"], absent["bbox_x"]) == (False, 0, None, None)
    assert absent["uncertainty"] == 0.5
    assert not decode(absent).any()
    assert (absent["frame_index"], absent["timestamp_us"], absent["video_id"]) == (7, 280_000, "clip")


def test_rows_of_prompted_objects_say_whether_their_mask_follows_a_box(store: Store) -> None:
    with VideoWriter(store, "clip", "1") as writer:
        labels = np.array([[1, 2, 3]], np.int32)
        writer.add(Info(0), make_result(labels, (1, 2, 3)), approximate={1: False, 3: True}, backward=[2])
        writer.add(Info(1), make_result(labels, (1, 2, 3)))
        found = rows(store, writer.finish()["masks"])
    assert [row["approximate"] for row in found] == [False, None, True, None, None, None]
    assert [row["backward"] for row in found] == [False, True, False, False, False, False]


def test_planted_events_are_written(store: Store) -> None:
    """Of object 1, in a picture of 100 pixels; object 2 stays as it is, but where there is no room for it."""
    areas = [5, 6, 0, 0, 6, 18, 6, 17, 91, 30, 30]
    expected = [None, None, "lost", None, "found", "jump", "jump", None, "fills", "jump", None]
    with VideoWriter(store, "clip", "1") as writer:
        for index, area in enumerate(areas):
            labels = np.zeros(100, np.int32)
            labels[:5] = 2 if area < 91 else 0
            labels[-area or 100 :] = 1
            writer.add(Info(index), make_result(labels.reshape(10, 10), (1, 2)))
        masks = rows(store, writer.finish()["masks"])
    told = {object_id: [row["event"] for row in masks if row["object_id"] == object_id] for object_id in (1, 2)}
    assert told[1] == expected
    assert told[2] == [None] * 8 + ["lost", "found", None]


@pytest.mark.parametrize("cut", [None, False, True])
def test_shot_cuts_are_written(store: Store, cut: bool | None) -> None:
    with VideoWriter(store, "clip", "1") as writer:
        writer.add(Info(0), replace(two_squares(0), shot_cut=cut))
        (frame,) = rows(store, writer.finish()["frames"])
    assert frame["shot_cut"] is cut


def test_frame_rows_carry_the_statistics(store: Store) -> None:
    with VideoWriter(store, "clip", "1") as writer:
        writer.add(Info(3, name="00003.jpg", damaged=True), make_result(np.ones((2, 2), np.int32), (1,)))
        (frame,) = rows(store, writer.finish()["frames"])
    assert frame == {
        "video_id": "clip",
        "frame_index": 3,
        "frame_name": "00003.jpg",
        "timestamp_us": None,
        "uncertainty_mean": 0.125,
        "uncertainty_p50": 0.0,
        "uncertainty_p95": 0.5,
        "uncertainty_max": 1.0,
        "uncertain_fraction": 0.25,
        "margin": 0.75,
        "entropy": 0.375,
        "num_objects": 1,
        "bank_size": 40,
        "merged": 5,
        "appended": 4,
        "evicted": 3,
        "dropped": 2,
        "bank_protected_share": 0.5,
        "prompted": False,
        "damaged": True,
        "shot_cut": None,
    }


def test_frame_before_any_prompt_has_null_statistics_and_no_masks(store: Store) -> None:
    with VideoWriter(store, "clip", "1") as writer:
        writer.add(Info(0), make_result(np.zeros((2, 2), np.int32), (), predicted=False))
        records = writer.finish()
    (frame,) = rows(store, records["frames"])
    assert frame["uncertainty_mean"] is None and frame["entropy"] is None and frame["num_objects"] == 0
    assert records["masks"].rows == 0
    assert rows(store, records["masks"]) == []


def test_row_groups_hold_65536_rows(store: Store, scratch: Path) -> None:
    crowd = make_result(np.ones((1, 1), np.int32), tuple(range(1, 33_001)))
    with VideoWriter(store, "clip", "1") as writer:
        for index in range(2):
            writer.add(Info(index), crowd)
        on_disk = sum(path.stat().st_size for path in scratch.rglob("masks.parquet"))
        record = writer.finish()["masks"]
    assert on_disk > record.bytes / 2
    with store.open(record.path) as file:
        metadata = pq.ParquetFile(file).metadata
    groups = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert groups == [65_536, 66_000 - 65_536]
    assert record.rows == 66_000
    assert metadata.row_group(0).column(0).compression == "ZSTD"


def test_records_describe_the_stored_files(store: Store) -> None:
    records = write(store)
    for name, count in (("masks", 10), ("frames", 5)):
        data = store.get(records[name].path)
        assert records[name].path == f"{name}/{safe_name('clip')}-1.parquet"
        assert records[name].bytes == len(data)
        assert records[name].sha256 == hashlib.sha256(data).hexdigest()
        assert records[name].rows == len(rows(store, records[name])) == count


def test_files_have_the_schema_with_its_metadata(store: Store) -> None:
    for name, record in write(store).items():
        with store.open(record.path) as file:
            assert pq.read_schema(file).equals(SCHEMAS[name], check_metadata=True)


def test_rows_are_sorted_by_frame_and_object(store: Store) -> None:
    order = [(row["frame_index"], row["object_id"]) for row in rows(store, write(store)["masks"])]
    assert order == sorted(order)


def test_bytes_depend_on_the_rows_alone(store: Store) -> None:
    first, second = write(store, "run-a-1"), write(store, "run-b-2")
    assert {name: r.sha256 for name, r in first.items()} == {name: r.sha256 for name, r in second.items()}
    assert first["masks"].path != second["masks"].path
    assert write(store, "3", frames=4)["masks"].sha256 != first["masks"].sha256


def test_nothing_is_stored_or_left_behind_when_not_finished(store: Store, scratch: Path) -> None:
    with pytest.raises(RuntimeError, match="killed"), VideoWriter(store, "clip", "1") as writer:
        writer.add(Info(0), two_squares(0))
        raise RuntimeError("killed")
    assert list(scratch.iterdir()) == [] and store.list() == []


def test_nothing_is_left_behind_when_finished(store: Store, scratch: Path) -> None:
    writer = VideoWriter(store, "clip", "1")
    writer.add(Info(0), two_squares(0))
    writer.finish()
    assert list(scratch.iterdir()) == []


def test_nothing_is_left_behind_when_the_store_fails(
    store: Store, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreUnavailable("down")

    monkeypatch.setattr(Store, "put_file", fail)
    with pytest.raises(StoreUnavailable):
        write(store)
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("part", ["write_table", "close"])
@pytest.mark.parametrize("finished", [True, False])
def test_nothing_is_left_behind_when_the_disk_is_full(
    store: Store, scratch: Path, monkeypatch: pytest.MonkeyPatch, part: str, finished: bool
) -> None:
    whole = getattr(pq.ParquetWriter, part)

    def fail(self: pq.ParquetWriter, *arguments: Any, **options: Any) -> None:
        whole(self, *arguments, **options)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, part, fail)
    if finished:
        with pytest.raises(OSError, match="No space left"):
            write(store)
    else:  # what ended it is not hidden by what its end brings up
        with pytest.raises(RuntimeError, match="killed"), VideoWriter(store, "clip", "1") as writer:
            writer.add(Info(0), two_squares(0))
            raise RuntimeError("killed")
    assert list(scratch.iterdir()) == []
    assert store.list() == []


def test_nothing_is_left_behind_when_the_first_byte_does_not_fit(
    store: Store, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any, **_options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "ParquetWriter", fail)
    with pytest.raises(OSError, match="No space left"):
        VideoWriter(store, "clip", "1")
    assert list(scratch.iterdir()) == []
