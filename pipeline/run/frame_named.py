"""What the network raises of a frame, told with the frame's number."""

from collections.abc import Iterator
from contextlib import contextmanager

from model.errors import ModelError
from model.errors import OutOfMemory as ModelOutOfMemory
from pipeline.errors import OutOfMemory, SegmentationFailed
from pipeline.input.frames import Frame


@contextmanager
def frame_named(frame: Frame) -> Iterator[None]:
    """Raises OutOfMemory or SegmentationFailed for an error of the model inside."""
    try:
        yield
    except ModelOutOfMemory as error:
        raise OutOfMemory(f"frame {frame.index}: out of memory ({error})", frame.index) from error
    except ModelError as error:
        raise SegmentationFailed(f"frame {frame.index}: {error}", frame.index) from error
