"""What went wrong at a store: asked again while it may pass, then said as an error of `pipeline.errors`."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from pipeline.credentials import without_credentials
from pipeline.errors import InputDenied, InvalidInput, InvalidOutput, OutputDenied, PipelineError, StoreUnavailable
from pipeline.storage.retry import Retry

T = TypeVar("T")

RETRY = Retry()
"""For all that is asked of stores; where a client has tries of its own they are switched off, or short."""
DEADLINE_S = 20.0
"""A request that is not answered by then has failed: a store may accept one and stay silent for ever."""
LONGEST_S = RETRY.total_s + DEADLINE_S
"""What is asked of a store is over after this: less than a driver may be silent (`lease.LeaseTimes`)."""

_CLIENTS = {"aiobotocore", "aiohttp", "azure", "botocore", "gcsfs", "google"}
"""Packages whose exceptions are failures of a store."""
_DENIALS = {
    "NoCredentialsError",
    "ParamValidationError",  # a name that no bucket can have
    "PartialCredentialsError",
    "ProfileNotFound",
    "UnauthorizedSSOTokenError",
}
_TRANSIENT = {
    "ClientConnectionError",
    "ClientPayloadError",
    "HTTPClientError",  # of botocore: no connection, no answer in time, an answer that breaks off
    "ResponseParserError",
}
_TRANSIENT_STATUS = {408, 409, 429, 500, 502, 503, 504}
"""Of HTTP; 409 is Amazon's word for conditional writes that met."""


def patiently(action: Callable[[], T]) -> T:
    """The result of a request, asked again for a while where that may help."""
    return RETRY.call(action, _passes_by_itself)


@contextmanager
def reading(url: str) -> Iterator[None]:
    """Raises FileNotFoundError, InvalidInput (InputDenied) or StoreUnavailable for what fails inside."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        if _code(error) == "NoSuchBucket":
            raise InvalidInput(f"{url} is in a bucket that does not exist: correct the URL") from error
        raise FileNotFoundError(errno.ENOENT, "no such file or folder", without_credentials(url)) from error
    except IsADirectoryError as error:
        raise InvalidInput(f"{url} is a folder: name a file") from error
    except Exception as error:
        if is_missing(error):
            raise FileNotFoundError(errno.ENOENT, "no such file or folder", without_credentials(url)) from error
        if is_denied(error):
            raise InputDenied(f"{url} may not be read ({error}): check permissions and credentials") from error
        _raise_unavailable(url, error)


@contextmanager
def writing(url: str) -> Iterator[None]:
    """Raises InvalidOutput (OutputDenied) or StoreUnavailable for what fails inside."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError) as error:
        raise InvalidOutput(
            f"{url} cannot be written ({error}): check that the bucket exists and no file stands for a folder"
        ) from error
    except Exception as error:
        if is_denied(error):
            raise OutputDenied(f"{url} may not be written ({error}): check permissions and credentials") from error
        _raise_unavailable(url, error)


def _raise_unavailable(url: str, error: Exception) -> None:
    if isinstance(error, PipelineError) or not is_store_error(error):
        raise error
    raise StoreUnavailable(
        f"the store failed at {url} ({type(error).__name__}: {error}): check that it can be reached and is not full, "
        "then start again"
    ) from error


def is_store_error(error: BaseException) -> bool:
    # By module, so that reading local files does not import the clients of object stores.
    return isinstance(error, OSError) or type(error).__module__.split(".")[0] in _CLIENTS


def is_missing(error: BaseException) -> bool:
    """Whether there is no such file, and there cannot be one: of a link to itself, of too long a name."""
    return getattr(error, "errno", None) in (errno.ENOENT, errno.ELOOP, errno.ENAMETOOLONG)


def is_denied(error: BaseException) -> bool:
    return (
        isinstance(error, PermissionError)
        or getattr(error, "errno", None) == errno.EROFS
        or _code(error) in ("InvalidToken", "InvalidBucketName")
        or not _DENIALS.isdisjoint(_kinds(error))
    )


def _passes_by_itself(error: BaseException) -> bool:
    """Whether a request that failed so may succeed a little later."""
    if isinstance(error, TimeoutError | ConnectionError) or not _TRANSIENT.isdisjoint(_kinds(error)):
        return True
    return _status(error) in _TRANSIENT_STATUS


def _kinds(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__ if kind.__module__.split(".")[0] in _CLIENTS}


def _code(error: BaseException) -> str | None:
    """S3's own name of an error."""
    return cast(str | None, _response(error).get("Error", {}).get("Code"))


def _status(error: BaseException) -> int | None:
    """The HTTP status of a failed request, as s3fs, aiohttp or gcsfs tell it."""
    status = _response(error).get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status or getattr(error, "status", None) or getattr(error, "code", None)


def _response(error: BaseException) -> dict[str, Any]:
    response = getattr(error.__cause__, "response", None)  # s3fs raises its errors from those of botocore
    return response if isinstance(response, dict) else {}
