import io
import pickle
import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from fsspec.core import url_to_fs

from pipeline.errors import InvalidOutput
from pipeline.output import tables
from pipeline.output.batches import write_rows
from pipeline.output.commits import Commit, create_commit
from pipeline.output.committed import read_committed
from pipeline.output.marker import claim_output
from pipeline.output.schema import SCHEMAS
from pipeline.output.videos import sync_videos
from pipeline.storage.store import Store
from tests.pipeline.made_commits import make_commit
from tests.pipeline.output.test_schema import FAILURE
from tests.pipeline.output.test_writer import write


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    store = Store(f"memory://{uuid.uuid4().hex}" if request.param == "memory" else str(tmp_path / "out"))
    claim_output(store)
    return store


def segment(store: Store, video_id: str, identity: str = "a", attempt: str = "1", frames: int = 5) -> Commit:
    """Write a video's files and commit them."""
    files = write(store, attempt, frames, video_id)
    made = make_commit(video_id, identity * 32)
    number = ord(identity) - ord("a") + 1
    commit = Commit(video_id=video_id, identity=made.identity, files=files, video=made.video, driver=number)
    assert create_commit(store, commit)
    return commit


@pytest.mark.parametrize("name", SCHEMAS)
def test_empty_output_has_empty_tables_with_their_schema(store: Store, name: str) -> None:
    table = tables.open(store.url, name).to_table()
    assert table.num_rows == 0
    assert table.schema.equals(SCHEMAS[name], check_metadata=True)


def test_only_committed_files_are_read(store: Store) -> None:
    segment(store, "clip")
    write(store, "orphan", 3, "other")
    assert tables.open(store.url, "frames").count_rows() == 5
    masks = tables.open(store.url, "masks").to_table()
    assert set(masks["video_id"].to_pylist()) == {"clip"} and masks.num_rows == 10
    assert masks.schema.equals(SCHEMAS["masks"], check_metadata=True)


def test_files_of_before_a_column_came_are_read_with_nulls(store: Store) -> None:
    buffer = io.BytesIO()
    before = SCHEMAS["masks"].remove(SCHEMAS["masks"].get_field_index("approximate"))
    plain = {"string": "clip", "bool": False}
    values = {field.name: [None if field.nullable else plain.get(str(field.type), 0)] for field in before}
    pq.write_table(pa.Table.from_pydict(values, schema=before), buffer)
    store.put("masks/old.parquet", buffer.getvalue())
    (row,) = tables.dataset(store, ["masks/old.parquet"], SCHEMAS["masks"]).to_table().to_pylist()
    assert row["approximate"] is None and row["video_id"] == "clip"


def test_superseded_files_are_not_read(store: Store) -> None:
    segment(store, "clip", "a", attempt="1")
    segment(store, "clip", "b", attempt="2", frames=3)
    assert tables.open(store.url, "frames").count_rows() == 3
    assert tables.open(store.url, "videos").to_table()["identity"].to_pylist() == ["b" * 32]


def test_videos_follow_the_commits_without_their_table(store: Store) -> None:
    segment(store, "clip")
    sync_videos(store, read_committed(store))
    segment(store, "later")
    table = tables.open(store.url, "videos").to_table()
    assert sorted(table["video_id"].to_pylist()) == ["clip", "later"]
    assert table.schema.equals(SCHEMAS["videos"], check_metadata=True)


def test_failures_are_those_of_all_files(store: Store) -> None:
    write_rows(store, "failures", "run-1", [FAILURE, FAILURE])
    write_rows(store, "failures", "run-2", [{**FAILURE, "run_id": "r2"}])
    failures = tables.open(store.url, "failures").to_table()
    assert sorted(failures["run_id"].to_pylist()) == ["r1", "r1", "r2"]


@pytest.mark.parametrize("name", ["masks", "frames", "videos"])
def test_a_plain_reader_of_the_folder_sees_the_same(store: Store, name: str) -> None:
    for video_id in ("clip", "_hidden", ".dot"):
        segment(store, video_id)
    sync_videos(store, read_committed(store))
    filesystem, root = url_to_fs(store.url)
    plain = ds.dataset(f"{root}/{name}", filesystem=filesystem, format="parquet").to_table()
    order = [(key, "ascending") for key in plain.schema.names[:3]]
    ours = tables.open(store.url, name).to_table()
    assert plain.sort_by(order).equals(ours.sort_by(order), check_metadata=True)
    assert set(ours["video_id"].to_pylist()) == {"clip", "_hidden", ".dot"}


def test_filters_and_columns_are_pushed_down(store: Store) -> None:
    segment(store, "clip")
    dataset = tables.open(store.url, "masks")
    table = dataset.to_table(columns=["area"], filter=(pc.field("object_id") == 3) & pc.field("present"))
    assert table.to_pydict() == {"area": [6] * 5}


def test_a_dataset_can_be_sent_to_another_process(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    claim_output(store)
    segment(store, "clip")
    assert pickle.loads(pickle.dumps(tables.open(store.url, "masks"))).count_rows() == 10


def test_a_plain_path_is_an_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(str(tmp_path / "out"))
    claim_output(store)
    segment(store, "clip")
    monkeypatch.chdir(tmp_path)
    assert tables.open("out", "frames").count_rows() == 5


def test_a_folder_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidOutput, match="no vos-batch output at"):
        tables.open(str(tmp_path), "masks")


def test_an_unknown_table_is_refused(store: Store) -> None:
    with pytest.raises(KeyError, match="pixels"):
        tables.open(store.url, "pixels")
