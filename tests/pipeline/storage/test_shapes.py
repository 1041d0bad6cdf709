"""Google's and Azure's stores: their versions and times are read from what their clients really tell."""

import time
from collections.abc import Iterator, Sequence

import pytest

from pipeline.errors import InvalidInput, OutputInUse
from pipeline.output.committed import read_committed
from pipeline.output.lease import Lease, LeaseTimes
from pipeline.output.marker import claim_output
from pipeline.output.verify import verify
from pipeline.storage.fingerprints import Fingerprints
from pipeline.storage.store import Store
from tests.pipeline.output.planted import put_output
from tests.pipeline.storage.shapes import Azure, Google, installed

KINDS = {"gs": Google, "az": Azure}
TOLD = [
    ("gs", ()),
    ("gs", ("etag",)),
    ("gs", ("etag", "generation")),
    ("gs", ("etag", "generation", "md5Hash")),
    ("gs", ("etag", "generation", "md5Hash", "updated")),
    ("az", ()),
    ("az", ("etag",)),
    ("az", ("etag", "content_settings")),
]
"""Protocol, and the fields that are not told: each time the next best one is used."""


@pytest.fixture(autouse=True)
def stores() -> Iterator[None]:
    with installed():
        yield


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest) -> Store:
    return Store(f"{request.param}://bucket/out")


def test_a_listing_tells_sizes_times_and_folders(store: Store) -> None:
    store.put("a.mp4", b"12345")
    store.put("deep/b.mp4", b"1")
    file, folder = store.list()
    assert (file.name, file.size, file.is_folder) == ("a.mp4", 5, False)
    assert file.modified_s is not None and abs(file.modified_s - time.time()) < 60
    assert (folder.name, folder.size, folder.is_folder, folder.fingerprint) == ("deep", 0, True, "")


def test_a_marker_of_a_folder_is_no_entry() -> None:
    store = Store("gs://bucket/out")
    Google(skip_instance_cache=True).pipe_file("bucket/out/", b"")
    store.put("a", b"1")
    assert [entry.name for entry in store.list()] == ["a"]


@pytest.mark.parametrize(("protocol", "hidden"), TOLD)
def test_a_change_of_equal_size_is_seen(protocol: str, hidden: Sequence[str]) -> None:
    KINDS[protocol].hidden.update(hidden)
    store = Store(f"{protocol}://bucket/in")
    store.put("a.mp4", b"before")
    before = Fingerprints().of(store.url_of("a.mp4"))
    assert Fingerprints().of(store.url_of("a.mp4")) == before
    assert "None" not in before and before.endswith("-6")
    if hidden[-1:] not in [("md5Hash",), ("updated",), ("content_settings",)]:
        store.put("a.mp4", b"after!")
        assert Fingerprints().of(store.url_of("a.mp4")) != before
        return
    time.sleep(1.1)  # only the time is left, and Azure's is in seconds
    store.put("a.mp4", b"after!")
    assert Fingerprints().of(store.url_of("a.mp4")) != before


def test_a_store_that_tells_nothing_is_refused() -> None:
    Google.hidden.update({"etag", "generation", "md5Hash", "updated", "mtime", "timeCreated", "ctime"})
    store = Store("gs://bucket/in")
    store.put("a.mp4", b"x")
    with pytest.raises(InvalidInput, match="neither a version nor a time"):
        Fingerprints().of(store.url_of("a.mp4"))


def test_what_others_write_is_listed_at_once(store: Store) -> None:
    store.put("a", b"1")
    assert [entry.name for entry in store.list()] == ["a"]
    kind = KINDS[store.url.partition("://")[0]]
    kind(skip_instance_cache=True).pipe_file("bucket/out/b", b"1")
    assert [entry.name for entry in store.list()] == ["a", "b"]


def test_one_create_wins(store: Store) -> None:
    assert store.create("a", b"first") and not store.create("a", b"second")
    assert store.get("a") == b"first"


class TestLease:
    TIMES = LeaseTimes(refresh_s=0.1, stale_s=3.0)

    def test_a_living_driver_is_respected(self, store: Store) -> None:
        with (
            Lease(store, "one", times=self.TIMES) as lease,
            pytest.raises(OutputInUse),
            Lease(store, "two", times=self.TIMES),
        ):
            pass
        assert lease.exclusive and abs(lease.held_s - time.time()) < 60

    def test_a_dead_one_is_replaced_as_soon_as_its_age_allows(self, store: Store) -> None:
        store.put("_work/driver.4", b'{"released": false}')
        time.sleep(2.0)
        begun_s = time.monotonic()
        with Lease(store, "two", times=self.TIMES) as lease:
            assert lease.number == 5
            assert time.monotonic() - begun_s < 2.9


def test_an_output_there_is_committed_read_and_verified(store: Store) -> None:
    claim_output(store)
    commits = put_output(store, 2)
    assert {found.file for found in read_committed(store).current.values()} == {commit.file for commit in commits}
    assert verify(store).found == ()
