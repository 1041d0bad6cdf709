"""How many requests reading an output on S3 takes, counted at a proxy before the server."""

from collections import Counter
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from jobs.status import read_status
from pipeline.input.manifest import read_manifest
from pipeline.output import tables
from pipeline.output.committed import read_committed
from pipeline.output.marker import claim_output
from pipeline.output.videos import sync_videos
from pipeline.run.config import WorkerConfig
from pipeline.run.driver import run
from pipeline.storage.store import Store
from tests.benchmarks.driver import make_corpus
from tests.pipeline.finished_pool import FinishedPool
from tests.pipeline.made_commits import make_commit, put_commit
from tests.s3.servers import BUCKET, S3, moto, use
from tests.s3.throttle import Throttle, throttled

VIDEOS = 60


@pytest.fixture
def requests(moto_server: S3, environment: pytest.MonkeyPatch) -> Iterator[Throttle]:
    """Counts this process's requests and refuses none."""
    throttle = Throttle(lambda _number: False)
    with throttled(moto_server, throttle) as server:
        use(server, environment)
        yield throttle


@pytest.fixture
def store(requests: Throttle) -> Store:
    """An output of many videos whose table `videos` is written."""
    store = Store(f"s3://{BUCKET}/requests/{id(requests):x}")
    claim_output(store)
    for index in range(VIDEOS):
        put_commit(store, make_commit(f"v{index:03}"))
    sync_videos(store, read_committed(store))
    requests.seen.clear()
    return store


def test_a_file_is_read_by_one_request(store: Store, requests: Throttle) -> None:
    store.get("_vos-batch.json")
    assert [method for method, _ in requests.seen] == ["GET"]


def test_status_does_not_read_every_commit(store: Store, requests: Throttle) -> None:
    assert read_status(store.url).videos == {"complete": VIDEOS}
    assert len(requests.seen) < VIDEOS / 4


def test_only_commits_that_the_table_lacks_are_read(store: Store, requests: Throttle) -> None:
    for index in range(5):
        put_commit(store, make_commit(f"later{index}"))
    requests.seen.clear()
    assert tables.open(store.url, "videos").count_rows() == VIDEOS + 5
    assert sum("/_commits/" in path for _, path in requests.seen) == 5


PAGE = 20
"""Entries a LIST gives here; S3 gives 1000."""


@pytest.fixture
def small_pages(environment: pytest.MonkeyPatch) -> Iterator[Throttle]:
    """Requests to a server whose listings come in small pages."""
    environment.setenv("MOTO_S3_DEFAULT_MAX_KEYS", str(PAGE))
    throttle = Throttle(lambda _number: False)
    with moto() as server, throttled(server, throttle) as proxy:
        use(proxy, environment)
        yield throttle


def test_what_is_missing_is_found_by_listings_alone(small_pages: Throttle) -> None:
    """ceil(N / page) LISTs a prefix and a handful of other requests, however many videos are complete."""
    root = f"s3://{BUCKET}/corpus"
    manifest = make_corpus(Store(root), VIDEOS)
    config = WorkerConfig(output=f"{root}/output", checkpoint="untrained", checkpoint_fingerprint="0" * 16)
    assert run(read_manifest(manifest), config, FinishedPool(config.output)).complete == VIDEOS
    small_pages.seen.clear()
    assert run(read_manifest(manifest), config, FinishedPool(config.output)).skipped == VIDEOS
    lists = Counter(_prefix(path) for method, path in small_pages.seen if method == "GET" and "list-type" in path)
    for prefix in ("corpus/videos/", "corpus/masks/", "corpus/output/_commits/", "corpus/output/masks/"):
        assert lists[prefix] == -(-VIDEOS // PAGE)
    assert len(small_pages.seen) - sum(lists.values()) < 20


def _prefix(path: str) -> str:
    return parse_qs(urlsplit(path).query)["prefix"][0]
