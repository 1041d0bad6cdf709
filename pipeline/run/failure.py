"""Why an attempt came to nothing, as a value that crosses process borders and becomes a row of `failures`."""

import logging
import traceback
from dataclasses import dataclass

from pipeline.credentials import without_credentials
from pipeline.errors import PipelineError, Remedy

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why an attempt, or the plan for a video, came to nothing."""

    cause: str
    """Class name of the error."""
    message: str
    remedy: Remedy = Remedy.NONE
    """What may help."""
    frame_index: int | None = None
    """Frame at which the network gave up."""
    worker: str | None = None
    host: str | None = None
    """Machine of that worker; None: unknown, or planning."""
    trace: str | None = None
    """Where a bug of ours came up; None for what can be expected."""

    @property
    def of_surroundings(self) -> bool:
        """Whether store, worker or machine may be to blame, so that other videos may fail of the same."""
        return self.remedy in (Remedy.LATER, Remedy.ELSEWHERE)

    @property
    def retryable(self) -> bool:
        """Whether another attempt may succeed."""
        return self.remedy is not Remedy.NONE

    @classmethod
    def of(cls, error: BaseException, *, worker: str | None = None, host: str | None = None) -> "Failure":
        """What there is to say of an error; one that nobody expected may be the fault of the `worker` it came up on."""
        expected = isinstance(error, PipelineError)
        unknown = Remedy.NONE if worker is None else Remedy.ELSEWHERE
        return cls(
            cause=type(error).__name__,
            message=_text(str(error) or repr(error)),
            remedy=error.remedy if isinstance(error, PipelineError) else unknown,
            frame_index=getattr(error, "frame_index", None),
            worker=worker,
            host=host,
            trace=None if expected else _text("".join(traceback.format_exception(error))),
        )

    @classmethod
    def unforeseen(
        cls, error: Exception, what: str, *, worker: str | None = None, host: str | None = None
    ) -> "Failure":
        """The same of a bug, which is logged too: `what` could not be done."""
        failure = cls.of(error, worker=worker, host=host)
        # Not the exception itself: its text may hold names that no log can write.
        _logger.error("%s:\n%s", what, failure.trace)
        return failure

    def columns(self) -> dict[str, object]:
        """Its columns of `failures`."""
        return {
            "cause": self.cause,
            "message": self.message,
            "frame_index": self.frame_index,
            "retryable": self.retryable,
            "worker": self.worker,
            "host": self.host,
            "trace": self.trace,
        }


def _text(text: str) -> str:
    """Names of files need not be UTF-8; secrets of URLs go."""
    return without_credentials(text.encode(errors="backslashreplace").decode())
