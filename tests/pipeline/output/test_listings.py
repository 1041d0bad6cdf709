"""What lies in an OUTPUT, video by video; what is not ours is told apart."""

import uuid

from pipeline.output.layout import attempt_name, safe_name, table_path
from pipeline.output.listings import NOT_OURS, commits_by_video, files_by_video, videos_files
from pipeline.storage.store import Store
from tests.pipeline.made_commits import make_commit, put_commit

RUN = "20260102T030405-0123abcd"


def test_everything_is_listed_by_its_video() -> None:
    store = Store(f"memory://{uuid.uuid4().hex}")
    old = put_commit(store, make_commit("clip", attempt=attempt_name(RUN, 1), driver=1))
    new = put_commit(store, make_commit("clip", "b" * 32, attempt=attempt_name(RUN, 2), driver=2))
    store.put(table_path("videos", "a"), b"rows")
    for name in ("_commits/notes.json", "masks/notes.parquet", "videos/notes.txt"):
        store.put(name, b"mine")
    assert {safe: set(found) for safe, found in commits_by_video(store).items()} == {
        safe_name("clip"): {old.file, new.file}
    }
    assert {safe: set(found) for safe, found in files_by_video(store).items()} == {
        safe_name("clip"): old.paths | new.paths,
        NOT_OURS: {"masks/notes.parquet"},
    }
    assert videos_files(store) == ["videos/a.parquet"]
