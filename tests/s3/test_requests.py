"""How many requests reading an output on S3 takes, counted at a proxy before the server."""

from collections.abc import Iterator

import pytest

from jobs.status import read_status
from pipeline import tables
from pipeline.commits import CommitLog, claim_output, sync_videos
from pipeline.storage import Store
from tests.pipeline.test_commits import make_commit
from tests.s3.servers import BUCKET, S3, use
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
    log = CommitLog(store)
    for index in range(VIDEOS):
        log.commit(make_commit(f"v{index:03}"))
    sync_videos(store)
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
        CommitLog(store).commit(make_commit(f"later{index}"))
    requests.seen.clear()
    assert tables.open(store.url, "videos").count_rows() == VIDEOS + 5
    assert sum("/_commits/" in path for _, path in requests.seen) == 5
