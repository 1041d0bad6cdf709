"""When a run stops, told from how attempts end."""

import pytest

from pipeline.errors import MostAttemptsFail, Remedy
from pipeline.run.failure import Failure
from pipeline.run.outlook import Outlook

FULL = Failure(cause="WorkerUnfit", message="no space left", remedy=Remedy.ELSEWHERE, host="node-1")
ODD = Failure(cause="KeyError", message="'x'", remedy=Remedy.ELSEWHERE, host="node-2")


def fail(outlook: Outlook, video_id: str, failure: Failure = FULL, *, times: int = 2, lasted_s: float = 1.0) -> None:
    for _ in range(times):
        outlook.began(video_id, 0.0)
        outlook.failed(video_id, failure, lasted_s)


def succeed(outlook: Outlook, video_id: str) -> None:
    outlook.began(video_id, 0.0)
    outlook.succeeded(video_id, 60.0)


def test_ten_videos_that_failed_twice_end_it_and_the_commonest_failure_is_named() -> None:
    outlook = Outlook()
    for n in range(9):
        fail(outlook, f"v{n}", ODD if n % 3 == 0 else FULL)
        outlook.check(100.0)
    fail(outlook, "v9")
    said = r"10 of the last 10 videos .* 7 of them with WorkerUnfit on node-1, at last: no space left\. .*call again"
    with pytest.raises(MostAttemptsFail, match=said):
        outlook.check(100.0)


def test_first_failures_are_no_sign_however_many() -> None:
    """One broken worker can fail them all."""
    outlook = Outlook()
    for n in range(500):
        fail(outlook, f"v{n}", times=1)
    outlook.check(100.0)
    assert not outlook.doubtful


@pytest.mark.parametrize("remedy", [Remedy.NONE, Remedy.SMALLER, Remedy.ROOM, Remedy.ANEW])
def test_nor_is_what_videos_or_clouds_are_to_blame_for(remedy: Remedy) -> None:
    outlook = Outlook()
    for n in range(50):
        fail(outlook, f"v{n}", Failure(cause="x", message="x", remedy=remedy))
    outlook.check(100.0)
    assert not outlook.doubtful


def test_every_fourth_that_goes_well_keeps_it_going() -> None:
    outlook = Outlook()
    for n in range(100):
        fail(outlook, f"v{n}") if n % 3 else succeed(outlook, f"v{n}")
        outlook.check(100.0)


def test_what_went_well_long_ago_does_not() -> None:
    outlook = Outlook()
    for n in range(100):
        succeed(outlook, f"good{n}")
    with pytest.raises(MostAttemptsFail):
        for n in range(20):
            fail(outlook, f"bad{n}")
            outlook.check(100.0)


def test_attempts_that_outlive_those_that_failed_are_taken_to_go_well() -> None:
    """A few odd videos among long ones."""
    outlook = Outlook()
    for n in range(4):
        outlook.began(f"long{n}", 0.0)
    for n in range(11):
        fail(outlook, f"odd{n}", ODD, lasted_s=5.0)
    outlook.check(5.1)
    with pytest.raises(MostAttemptsFail):
        outlook.check(5.0)


def test_more_that_fails_than_goes_well_is_doubtful() -> None:
    outlook = Outlook()
    fail(outlook, "a")
    assert outlook.doubtful
    succeed(outlook, "b")
    assert not outlook.doubtful
