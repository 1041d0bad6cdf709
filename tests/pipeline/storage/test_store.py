"""Stores: one contract over file:// and memory://, then what is particular to each."""

import os
import pickle
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pipeline.errors import (
    InputDenied,
    InvalidInput,
    InvalidOutput,
    OutputDenied,
    PipelineError,
    Remedy,
    StoreUnavailable,
)
from pipeline.storage import failures as store_failures
from pipeline.storage.fingerprints import Fingerprints
from pipeline.storage.store import Store, is_folder, open_url, read_url
from tests.pipeline import racers
from tests.pipeline.stores import Pauses, exists


class FakeS3(MemoryFileSystem):  # type: ignore[misc]
    """An object store in memory that answers as S3 does and fails when told to."""

    protocol = "fakes3"
    store: dict[str, Any] = {}  # noqa: RUF012  (fsspec's own class attribute)
    pseudo_dirs = [""]  # noqa: RUF012
    failure: Callable[[str], Exception | None] = staticmethod(lambda _step: None)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        self._fail("before")
        super().pipe_file(path, value, mode=mode, **kwargs)
        self._fail("after")

    def cat_file(self, path: str, **kwargs: Any) -> bytes:
        self._fail("read")
        return bytes(super().cat_file(path, **kwargs))

    @classmethod
    def _fail(cls, step: str) -> None:
        if error := cls.failure(step):
            raise error


def _client_error(name: str, base: str = "BotoCoreError") -> Exception:
    inner = type(base, (Exception,), {"__module__": "botocore.exceptions"})
    kind: type[Exception] = type(name, (inner,), {"__module__": "botocore.exceptions"})
    return kind("no answer")


def _answer(status: int, code: str, kind: type[OSError] = OSError) -> Exception:
    """What s3fs makes of an answer that is an error."""
    error, cause = kind(f"{code}: the server says no"), Exception()
    cause.response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}  # type: ignore[attr-defined]
    error.__cause__ = cause
    return error


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(str(tmp_path / "out") if request.param == "file" else f"memory://{uuid.uuid4().hex}/out")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses before further tries, in seconds; they take no time."""
    pauses = Pauses()
    monkeypatch.setattr(store_failures, "RETRY", pauses.retry)
    return pauses.seconds


@pytest.fixture
def fake_s3(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> Iterator[type[FakeS3]]:
    fsspec.register_implementation("fakes3", FakeS3, clobber=True)
    monkeypatch.setattr(FakeS3, "store", {})
    monkeypatch.setattr(FakeS3, "failure", staticmethod(lambda _step: None))
    yield FakeS3


def _make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(path))


def _link_zero(path: Path) -> None:
    path.symlink_to("/dev/zero")


class TestContract:
    def test_what_is_put_is_read_back_and_replaced(self, store: Store) -> None:
        store.put("a/b.bin", b"one")
        store.put("a/b.bin", b"twotwo")
        assert store.get("a/b.bin") == read_url(store.url_of("a/b.bin")) == b"twotwo"

    def test_a_local_file_is_copied(self, store: Store, tmp_path: Path) -> None:
        (tmp_path / "local").write_bytes(b"x" * 70_000)
        store.put_file("deep/er/copy", tmp_path / "local")
        assert store.get("deep/er/copy") == b"x" * 70_000

    def test_open_reads_and_seeks_independently_of_other_readers(self, store: Store) -> None:
        store.put("f", b"0123456789")
        with store.open("f") as first, store.open("f") as second:
            first.seek(7)
            assert (second.read(3), first.read(), first.tell()) == (b"012", b"789", 10)

    def test_a_position_before_the_start_is_no_failure_of_the_store(self, store: Store) -> None:
        store.put("f", b"0123")
        with store.open("f") as file:
            with pytest.raises((OSError, ValueError)):
                file.seek(-1)
            assert (file.failure, file.read(2)) == (None, b"01")

    def test_create_keeps_the_first(self, store: Store) -> None:
        assert store.create("c/x", b"mine")
        assert not store.create("c/x", b"theirs")
        assert not store.create("c/x", b"mine")
        assert store.get("c/x") == b"mine"

    def test_create_has_one_winner_a_name_among_racing_threads(
        self, store: Store, request: pytest.FixtureRequest
    ) -> None:
        request.addfinalizer(partial(sys.setswitchinterval, sys.getswitchinterval()))
        sys.setswitchinterval(1e-6)
        barrier = threading.Barrier(8)

        def race(racer: int) -> list[int]:
            barrier.wait()
            return racers.wins(store, racer, racers=8, names=300, contenders=8)

        with ThreadPoolExecutor(8) as pool:
            racers.check(store, list(pool.map(race, range(8))), 300)

    def test_list_shows_one_level_sorted(self, store: Store) -> None:
        for name in ("b", "a10", "a2", "folder/inside", "folder/deeper/still"):
            store.put(name, b"123")
        assert [(e.name, e.size, e.is_folder) for e in store.list()] == [
            ("a10", 3, False),
            ("a2", 3, False),
            ("b", 3, False),
            ("folder", 0, True),
        ]
        assert [e.name for e in store.list("folder")] == ["deeper", "inside"]

    def test_a_missing_folder_lists_nothing(self, store: Store) -> None:
        assert store.list() == store.list("no/such") == store.abandoned("no/such") == []

    def test_listing_a_file_gives_nothing(self, store: Store) -> None:
        store.put("f", b"1")
        assert store.list("f") == []

    def test_entries_carry_a_fingerprint_that_changes_when_rewritten(self, store: Store) -> None:
        store.put("f", b"one")
        before = store.list()[0]
        assert store.list()[0] == before and 0 < len(before.fingerprint) < 60
        store.put("f", b"two")
        assert store.list()[0].fingerprint != before.fingerprint

    def test_entries_carry_the_time_of_the_last_write(self, store: Store) -> None:
        store.put("a", b"")
        store.put("b", b"")
        first, second = (entry.modified_s for entry in store.list())
        assert first is not None and second is not None and 1e9 < first <= second

    def test_what_is_deleted_is_gone_and_may_be_gone_before(self, store: Store) -> None:
        store.put("x/f", b"")
        assert exists(store, "x/f")
        store.delete("x/f")
        store.delete("x/f")
        assert not exists(store, "x/f")

    @pytest.mark.parametrize("data", [b"", b"1", b"123"])
    def test_a_file_may_have_so_many_bytes_and_no_more(self, store: Store, data: bytes) -> None:
        store.put("f", data)
        assert read_url(store.url_of("f"), 3) == data
        store.put("f", b"1234")
        with pytest.raises(InvalidInput, match="/f has more than 3 bytes"):
            read_url(store.url_of("f"), 3)

    def test_missing_files_raise_file_not_found_with_the_url(self, store: Store) -> None:
        for read in (store.get, store.open):
            with pytest.raises(FileNotFoundError) as caught:
                read("nothing/here")
            assert store.url_of("nothing/here") in str(caught.value)

    def test_a_folder_is_told_from_a_file(self, store: Store) -> None:
        store.put("d/f", b"1")
        assert is_folder(store.url_of("d")) and not is_folder(store.url_of("d/f"))
        with pytest.raises(FileNotFoundError):
            is_folder(store.url_of("e"))

    @pytest.mark.parametrize("name", ["../x", "a/../b", "/x", "a//b", "a/", "."])
    def test_names_stay_inside(self, store: Store, name: str) -> None:
        with pytest.raises(ValueError, match="not a name inside"):
            store.put(name, b"")

    def test_a_pickled_store_is_the_same_store(self, store: Store) -> None:
        store.put("f", b"1")
        assert pickle.loads(pickle.dumps(store)).get("f") == b"1"

    def test_fingerprints_cost_one_listing_a_parent(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        for n in range(20):
            store.put(f"videos/{n}.mp4", bytes([n]))
        listings = _count_listings(monkeypatch)
        prints = Fingerprints()
        assert len({prints.of(store.url_of(f"videos/{n}.mp4")) for n in range(20)}) == 20
        assert listings == [store.url_of("videos")]

    def test_fingerprint_of_a_folder_follows_names_and_contents(self, store: Store) -> None:
        store.put("frames/1.jpg", b"1")
        store.put("frames/2.jpg", b"2")
        url = store.url_of("frames")
        first = Fingerprints().of(url)
        assert Fingerprints().of(url) == first and len(first) == 64
        store.put("frames/2.jpg", b"two")
        second = Fingerprints().of(url)
        store.put("frames/3.jpg", b"3")
        assert len({first, second, Fingerprints().of(url)}) == 3

    def test_fingerprint_of_a_missing_input(self, store: Store) -> None:
        with pytest.raises(FileNotFoundError, match=r"gone\.mp4"):
            Fingerprints().of(store.url_of("gone.mp4"))


class TestLocalFiles:
    def test_racing_processes_have_one_winner_a_name(self, tmp_path: Path) -> None:
        store = Store(str(tmp_path))
        racers.check(store, racers.race(store.url, 8, 300, contenders=8), 300)
        assert store.abandoned() == []

    def test_a_writer_that_is_killed_at_any_moment_leaves_whole_files(self, tmp_path: Path) -> None:
        store = Store(str(tmp_path))
        for moment in range(5):
            _kill_a_writer(store.url, after_s=0.02 * moment)
        files = store.list()
        assert files
        for entry in files:
            assert entry.size == _WRITTEN_BYTES and len(set(store.get(entry.name))) == 1

    def test_a_killed_writer_leaves_nothing_to_see(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        store = Store(str(tmp_path))
        store.put("f", b"old")
        monkeypatch.setattr("os.replace", _raise(KeyboardInterrupt))
        monkeypatch.setattr("os.remove", lambda _path: None)
        with pytest.raises(KeyboardInterrupt):
            store.put("f", b"new")
        assert len(list(tmp_path.iterdir())) == 2
        assert [e.name for e in store.list()] == ["f"] and store.get("f") == b"old"

    def test_what_a_killed_writer_left_can_be_told_by_its_age_and_removed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = Store(str(tmp_path))
        store.put("part/f", b"old")
        with monkeypatch.context() as killed:
            killed.setattr("os.replace", _raise(KeyboardInterrupt))
            killed.setattr("os.remove", lambda _path: None)
            with pytest.raises(KeyboardInterrupt):
                store.put("part/f", b"new")
        (left,) = store.abandoned("part")
        assert store.abandoned() == [] and left.modified_s == os.stat(tmp_path / "part" / left.name).st_mtime
        store.delete(f"part/{left.name}")
        assert [path.name for path in (tmp_path / "part").iterdir()] == ["f"]

    def test_a_failed_write_cleans_up_and_is_retryable(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.fsync", _raise(OSError(28, "No space left on device")))
        with pytest.raises(StoreUnavailable, match=r"out/f.*No space left"):
            Store(str(tmp_path)).put("out/f", b"1")
        assert list((tmp_path / "out").iterdir()) == []

    def test_a_new_time_is_a_new_fingerprint(self, tmp_path: Path) -> None:
        (tmp_path / "f").write_bytes(b"1")
        before = Store(str(tmp_path)).list()[0].fingerprint
        os.utime(tmp_path / "f", ns=(5, 7))
        assert Store(str(tmp_path)).list()[0].fingerprint == "1-7" != before

    def test_permission_is_the_callers_fault(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("builtins.open", _raise(PermissionError(13, "Permission denied")))
        with pytest.raises(OutputDenied, match="may not be written"):
            Store(str(tmp_path)).put("f", b"")
        with pytest.raises(InvalidInput, match="may not be read"):
            Store(str(tmp_path)).get("f")

    @pytest.mark.parametrize(("make", "kind"), [(os.mkfifo, "FIFO"), (_make_socket, "socket"), (_link_zero, "device")])
    def test_what_is_no_file_is_not_opened(self, tmp_path: Path, make: Callable[[Path], object], kind: str) -> None:
        make(tmp_path / "f")
        for read in (read_url, open_url):
            with pytest.raises(InvalidInput, match=f"/f is a {kind}, no regular file"):
                read(str(tmp_path / "f"))

    def test_a_link_to_itself_is_no_file_and_hides_none(self, tmp_path: Path) -> None:
        (tmp_path / "loop").symlink_to("loop")
        (tmp_path / "f").write_bytes(b"")
        assert [entry.name for entry in Store(str(tmp_path)).list()] == ["f"]
        for missing in ("loop", "n" * 300):
            with pytest.raises(FileNotFoundError):
                read_url(str(tmp_path / missing))
            with pytest.raises(FileNotFoundError):
                is_folder(str(tmp_path / missing))

    def test_a_file_where_a_folder_is_needed(self, tmp_path: Path) -> None:
        (tmp_path / "f").write_bytes(b"")
        with pytest.raises(InvalidOutput, match="cannot be written"):
            Store(str(tmp_path)).put("f/inside", b"")
        with pytest.raises(FileNotFoundError):
            Store(str(tmp_path)).get("f/inside")

    def test_a_folder_is_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match="is a folder"):
            read_url(str(tmp_path))

    def test_dangling_links_are_not_listed(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(tmp_path / "nowhere")
        assert Store(str(tmp_path)).list() == []


class TestNamesThatAreNotUtf8:
    """A file system keeps any bytes as a name."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "frames").mkdir()
        self.write(tmp_path, b"\xff1.png")
        return tmp_path

    def write(self, folder: Path, name: bytes) -> None:
        path = os.path.join(os.fsencode(folder / "frames"), name)
        try:
            with open(path, "wb") as file:
                file.write(b"1")
        except OSError:
            pytest.skip("this file system refuses such names")
        os.utime(path, ns=(5, 5))

    def test_their_folder_has_a_fingerprint(self, folder: Path) -> None:
        url = str(folder / "frames")
        before = Fingerprints().of(url)
        assert Fingerprints().of(url) == before
        assert Fingerprints().size_of(url) == 1

    def test_it_changes_with_the_bytes_of_a_name(self, folder: Path) -> None:
        before = Fingerprints().of(str(folder / "frames"))
        frames = os.fsencode(folder / "frames")
        os.rename(os.path.join(frames, b"\xff1.png"), os.path.join(frames, b"\xfe1.png"))
        assert Fingerprints().of(str(folder / "frames")) != before

    def test_they_can_be_read(self, folder: Path) -> None:
        (entry,) = Store(str(folder / "frames")).list()
        assert os.fsencode(entry.name) == b"\xff1.png"
        assert Store(str(folder / "frames")).get(entry.name) == b"1"


class TestRemoteStore:
    def test_create_that_meets_its_own_success_has_won(self, fake_s3: type[FakeS3]) -> None:
        store = Store("fakes3://bucket/out")
        _fail(fake_s3, "after", OSError("412 PreconditionFailed"))
        assert store.create("lease", b"run 1")
        _fail(fake_s3, "before", OSError("412 PreconditionFailed"))
        assert not store.create("lease", b"run 2")

    def test_create_that_was_not_stored_is_a_failure(self, fake_s3: type[FakeS3]) -> None:
        _fail(fake_s3, "before", TimeoutError())
        with pytest.raises(StoreUnavailable, match="fakes3://bucket/out/lease"):
            Store("fakes3://bucket/out").create("lease", b"run 1")

    @pytest.mark.parametrize("step", ["before", "after"])
    def test_create_whose_answer_is_lost_for_a_while_has_won(
        self, fake_s3: type[FakeS3], pauses: list[float], step: str
    ) -> None:
        store = Store("fakes3://bucket/out")
        _fail(fake_s3, step, _answer(503, "SlowDown"), times=3)
        assert store.create("lease", b"run 1")
        assert store.get("lease") == b"run 1" and not store.create("lease", b"run 2")
        assert len(pauses) == (3 if step == "before" else 0)  # what is stored says who won

    @pytest.mark.parametrize(
        "passing",
        [
            lambda: TimeoutError(),
            lambda: ConnectionResetError(104, "reset by peer"),
            lambda: _answer(503, "SlowDown"),
            lambda: _answer(500, "InternalError"),
            lambda: _answer(409, "ConditionalRequestConflict"),
            lambda: _client_error("ReadTimeoutError", base="HTTPClientError"),
        ],
    )
    def test_what_fails_for_the_moment_is_tried_again(
        self, fake_s3: type[FakeS3], pauses: list[float], passing: Callable[[], Exception]
    ) -> None:
        store = Store("fakes3://bucket")
        _fail(fake_s3, "before", passing(), times=2)
        store.put("f", b"1")
        _fail(fake_s3, "read", passing(), times=2)
        assert store.get("f") == b"1"
        assert len(pauses) == 4

    def test_not_for_ever(self, fake_s3: type[FakeS3], pauses: list[float]) -> None:
        _fail(fake_s3, "before", _answer(503, "SlowDown"))
        with pytest.raises(StoreUnavailable, match=r"fakes3://bucket/f .*Slow.*check that it can be reached"):
            Store("fakes3://bucket").put("f", b"1")
        assert 3 < len(pauses) < 20

    @pytest.mark.parametrize(
        "lasting", [_answer(403, "AccessDenied", PermissionError), _answer(501, "NotImplemented"), OSError("no")]
    )
    def test_what_lasts_is_not_tried_again(
        self, fake_s3: type[FakeS3], pauses: list[float], lasting: Exception
    ) -> None:
        _fail(fake_s3, "before", lasting)
        with pytest.raises(PipelineError):
            Store("fakes3://bucket").put("f", b"1")
        assert pauses == []

    def test_a_read_midway_is_tried_again(
        self, fake_s3: type[FakeS3], monkeypatch: pytest.MonkeyPatch, pauses: list[float]
    ) -> None:
        Store("fakes3://bucket").put("f", b"0123")
        file = open_url("fakes3://bucket/f")
        read, failures = type(file._file).read, [TimeoutError(), TimeoutError()]

        def fail_twice(self: Any, size: int = -1) -> bytes:
            if failures:
                raise failures.pop()
            return bytes(read(self, size))

        monkeypatch.setattr(type(file._file), "read", fail_twice)
        assert file.read(2) == b"01" and file.failure is None
        assert len(pauses) == 2

    def test_a_bucket_that_is_not_there_is_no_missing_file(self, fake_s3: type[FakeS3]) -> None:
        _fail(fake_s3, "read", _answer(404, "NoSuchBucket", FileNotFoundError))
        with pytest.raises(InvalidInput, match=r"fakes3://bucket/f is in a bucket that does not exist"):
            Store("fakes3://bucket").get("f")

    def test_a_failing_store_is_retryable_and_named(self, fake_s3: type[FakeS3]) -> None:
        store = Store("fakes3://bucket")
        store.put("f", b"1")
        _fail(fake_s3, "read", _client_error("EndpointConnectionError"))
        with pytest.raises(StoreUnavailable, match=r"fakes3://bucket/f.*EndpointConnectionError") as caught:
            store.get("f")
        assert caught.value.remedy is Remedy.LATER

    def test_missing_credentials_may_be_those_of_one_worker(self, fake_s3: type[FakeS3]) -> None:
        _fail(fake_s3, "read", _client_error("NoCredentialsError"))
        with pytest.raises(InputDenied, match="credentials") as caught:
            Store("fakes3://bucket").get("f")
        assert caught.value.remedy is Remedy.ELSEWHERE and isinstance(caught.value, InvalidInput)

    def test_programming_errors_are_not_hidden(self, fake_s3: type[FakeS3]) -> None:
        _fail(fake_s3, "read", TypeError("a bug"))
        with pytest.raises(TypeError, match="a bug"):
            Store("fakes3://bucket").get("f")

    def test_fingerprint_is_etag_and_size(self, fake_s3: type[FakeS3], monkeypatch: pytest.MonkeyPatch) -> None:
        rows = [{"name": "/b/f", "size": 3, "type": "file", "ETag": '"abc"'}]
        monkeypatch.setattr(fake_s3, "ls", lambda *_args, **_options: rows)
        assert Store("fakes3://b").list()[0].fingerprint == "abc-3"

    def test_a_read_that_fails_midway_is_remembered(
        self, fake_s3: type[FakeS3], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Store("fakes3://bucket").put("f", b"0123")
        file = open_url("fakes3://bucket/f")
        assert file.read(2) == b"01" and file.failure is None
        monkeypatch.setattr(type(file._file), "read", _raise(OSError("reset by peer")))
        with pytest.raises(StoreUnavailable) as caught:
            file.read(2)
        assert file.failure is caught.value


_WRITTEN_BYTES = 1 << 20
_WRITER = f"""
import itertools, sys
from pipeline.storage.store import Store
store = Store(sys.argv[1])
print("ready", flush=True)
for number in itertools.count():
    data = bytes([number % 256]) * {_WRITTEN_BYTES}
    store.put("replaced", data)
    store.create(f"new {{number % 9}}", data)
"""


def _kill_a_writer(url: str, after_s: float) -> None:
    """Let a process write without end, and end it with SIGKILL."""
    with subprocess.Popen([sys.executable, "-c", _WRITER, url], stdout=subprocess.PIPE) as writer:
        assert writer.stdout and writer.stdout.readline() == b"ready\n"
        time.sleep(after_s)
        writer.kill()


def _count_listings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    listed: list[str] = []
    original = Store.list

    def counting(self: Store, folder: str = "") -> Any:
        listed.append(self.url_of(folder))
        return original(self, folder)

    monkeypatch.setattr(Store, "list", counting)
    return listed


def _raise(error: BaseException | type[BaseException]) -> Callable[..., Any]:
    def fail(*_args: Any, **_options: Any) -> Any:
        raise error

    return fail


def _fail(filesystem: type[FakeS3], at: str, error: Exception, times: int = 10**6) -> None:
    left = [at] * times
    filesystem.failure = staticmethod(lambda step: error if step == at and left and left.pop() else None)


def test_size_of_files_and_folders(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.put("clip/1.png", b"123")
    store.put("clip/2.png", b"45")
    sizes = Fingerprints()
    assert sizes.size_of(store.url_of("clip")) == 5
    assert sizes.size_of(store.url_of("clip/1.png")) == 3
    assert sizes.size_of(store.url_of("missing")) == 0
