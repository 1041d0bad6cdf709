"""What is kept of an error: cause, words, remedy, and the trace of what nobody foresaw."""

import pytest

from pipeline.errors import (
    InputDenied,
    InvalidPrompt,
    MachineOutOfMemory,
    OutOfMemory,
    OutputDenied,
    PipelineError,
    Preempted,
    Remedy,
    Stalled,
    StoreUnavailable,
    WorkerLost,
    WorkerUnfit,
)
from pipeline.output.schema import to_table
from pipeline.run.failure import Failure


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (InvalidPrompt("no object"), Remedy.NONE),
        (StoreUnavailable("no answer"), Remedy.LATER),
        (OutOfMemory("9 GiB", 4), Remedy.SMALLER),
        (MachineOutOfMemory("gone"), Remedy.ROOM),
        (Stalled("no new frame"), Remedy.ELSEWHERE),
        (WorkerUnfit("full"), Remedy.ELSEWHERE),
        (InputDenied("403"), Remedy.ELSEWHERE),
        (OutputDenied("403"), Remedy.ELSEWHERE),
        (WorkerLost("gone"), Remedy.LATER),
        (Preempted("gone"), Remedy.ANEW),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_foreseen_error_brings_its_remedy_and_no_trace(error: PipelineError, remedy: Remedy) -> None:
    failure = Failure.of(raised(error), worker="w", host="h")
    assert (failure.cause, failure.message, failure.remedy) == (type(error).__name__, str(error), remedy)
    assert failure.retryable is (remedy is not Remedy.NONE)
    assert failure.trace is None
    assert failure.frame_index == getattr(error, "frame_index", None)


def test_a_bug_is_kept_with_where_it_came_up() -> None:
    failure = Failure.of(raised(TypeError("bad operand")))
    assert failure.trace is not None
    assert "in raised" in failure.trace and "TypeError: bad operand" in failure.trace


@pytest.mark.parametrize(("worker", "remedy"), [("actor-1", Remedy.ELSEWHERE), (None, Remedy.NONE)])
def test_a_bug_may_be_the_fault_of_the_worker_it_came_up_on(worker: str | None, remedy: Remedy) -> None:
    assert Failure.of(raised(TypeError("bad operand")), worker=worker).remedy is remedy


def test_no_secret_is_kept() -> None:
    failure = Failure.of(raised(ValueError("GET https://host/a?X-Amz-Signature=abc123 failed")))
    assert "abc123" not in failure.message + str(failure.trace)


def test_its_columns_fill_a_row_of_failures() -> None:
    row = {"run_id": "r", "video_id": "v", "row": 1, "attempt": 1, "failed_at": "2026-01-02T03:04:05+00:00"}
    (stored,) = to_table("failures", [{**row, **Failure.of(raised(KeyError("x"))).columns()}]).to_pylist()
    assert stored["cause"] == "KeyError" and "KeyError: 'x'" in stored["trace"] and stored["retryable"] is False


def test_a_bug_is_logged_in_words_that_any_log_can_write(caplog: pytest.LogCaptureFixture) -> None:
    failure = Failure.unforeseen(raised(ValueError("picture \udcff.png")), "video 'a': failed", worker="w", host="h")
    assert (failure.cause, failure.worker, failure.host) == ("ValueError", "w", "h")
    (record,) = caplog.records
    assert record.getMessage().startswith("video 'a': failed:\nTraceback")
    assert rb"picture \udcff.png" in caplog.text.encode()
