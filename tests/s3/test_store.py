"""A store on S3 servers: races, answers that do not come, tables, wrong credentials."""

import os
import pickle
import subprocess
import sys
import uuid
from dataclasses import replace

import pyarrow.dataset as ds
import pytest

from pipeline.errors import InvalidInput, InvalidOutput, StoreUnavailable
from pipeline.output import tables
from pipeline.output.marker import claim_output
from pipeline.storage import failures as store_failures
from pipeline.storage.store import Store
from tests.pipeline import racers
from tests.pipeline.output.test_tables import segment
from tests.pipeline.stores import Pauses
from tests.s3.servers import BUCKET, S3, use
from tests.s3.throttle import Throttle, throttled


@pytest.fixture(params=["moto_server", "rclone_server"])
def server(request: pytest.FixtureRequest, environment: pytest.MonkeyPatch) -> S3:
    """Each server, and this process's environment set for it."""
    found: S3 = request.getfixturevalue(request.param)
    use(found, environment)
    return found


@pytest.fixture
def store() -> Store:
    return Store(f"s3://{BUCKET}/{uuid.uuid4().hex}")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses before further tries, in seconds; they take no time."""
    pauses = Pauses()
    monkeypatch.setattr(store_failures, "RETRY", pauses.retry)
    return pauses.seconds


class TestCreates:
    """On moto, which keeps conditional creates."""

    def test_racing_processes_have_one_winner_a_name(
        self, moto_server: S3, environment: pytest.MonkeyPatch, store: Store
    ) -> None:
        use(moto_server, environment)
        racers.check(store, racers.race(store.url, 8, 100, contenders=2), 100)

    def test_one_whose_answers_are_lost_knows_that_it_has_won(
        self, moto_server: S3, environment: pytest.MonkeyPatch, store: Store
    ) -> None:
        lost = Throttle(lambda number: number == 1, too_late=True)
        with throttled(moto_server, lost) as server:
            use(server, environment)
            assert store.create("commit", b"mine")
            assert not store.create("commit", b"theirs")
        assert lost.refused == 1
        assert [method for method, _ in lost.seen] == ["PUT", "GET", "PUT", "GET"]


class TestThrottling:
    def test_what_is_refused_is_asked_again_by_us_alone(
        self, moto_server: S3, environment: pytest.MonkeyPatch, store: Store, pauses: list[float]
    ) -> None:
        throttle = Throttle(lambda number: number <= 4)
        with throttled(moto_server, throttle) as server:
            use(server, environment)
            store.put("f", b"1")
            assert store.get("f") == b"1"
        assert throttle.refused == 4 and len(pauses) == 4

    def test_a_server_that_is_gone_is_named(
        self, moto_server: S3, environment: pytest.MonkeyPatch, store: Store, pauses: list[float]
    ) -> None:
        use(replace(moto_server, endpoint="http://127.0.0.1:9"), environment)
        with pytest.raises(StoreUnavailable, match=rf"{store.url}/f .*127\.0\.0\.1:9.*check that it can be reached"):
            store.get("f")


class TestTables:
    def test_what_is_committed_is_read_by_arrow_itself(self, server: S3, store: Store) -> None:
        claim_output(store)
        for name in ("clip", "a b", "_hidden"):
            segment(store, name)
        store.put("masks/orphan.parquet", b"")
        dataset = tables.open(store.url, "masks")
        assert dataset.count_rows() == 30
        assert {row["video_id"] for row in dataset.to_table(columns=["video_id"]).to_pylist()} == {
            "clip",
            "a b",
            "_hidden",
        }
        assert dataset.filter(ds.field("video_id") == "clip").head(3).num_rows == 3

    def test_one_that_is_sent_takes_no_secret_along(self, server: S3, store: Store) -> None:
        claim_output(store)
        segment(store, "clip")
        sent = pickle.dumps(tables.open(store.url, "masks"))
        assert server.secret.encode() not in sent
        assert pickle.loads(sent).count_rows() == 10

    def test_a_process_that_has_read_ends_well(
        self, moto_server: S3, environment: pytest.MonkeyPatch, store: Store
    ) -> None:
        """Reads that Arrow began ahead are at work when the interpreter ends."""
        use(moto_server, environment)
        claim_output(store)
        for number in range(6):
            segment(store, f"clip-{number}", frames=50)
        code = f"from pipeline.output import tables; tables.open({store.url!r}, 'frames').head(1)"
        for _ in range(2):
            subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))


class TestRefusals:
    @pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"])
    def test_wrong_credentials(
        self, rclone_server: S3, environment: pytest.MonkeyPatch, store: Store, pauses: list[float], name: str
    ) -> None:
        use(rclone_server, environment)
        environment.setenv(name, "5ec2e7")
        with pytest.raises(
            InvalidInput, match=rf"{store.url} may not be read .*check permissions and credentials"
        ) as read:
            store.list()
        with pytest.raises(InvalidOutput, match=rf"{store.url}/f may not be written") as written:
            store.put("f", b"1")
        assert "5ec2e7" not in f"{read.value}{written.value}" and pauses == []

    def test_a_missing_bucket(self, server: S3, pauses: list[float]) -> None:
        store = Store("s3://no-such-bucket/out")
        for read in (store.list, lambda: store.get("f")):
            with pytest.raises(InvalidInput, match=r"s3://no-such-bucket/out.*bucket that does not exist"):
                read()
        with pytest.raises(InvalidOutput, match=r"s3://no-such-bucket/out/f.*check that the bucket exists"):
            store.put("f", b"1")
        assert pauses == []

    def test_a_bucket_that_cannot_exist(self, server: S3, pauses: list[float]) -> None:
        with pytest.raises(InvalidOutput, match=r"s3://Not A Bucket/f may not be written"):
            Store("s3://Not A Bucket").put("f", b"1")
        assert pauses == []
