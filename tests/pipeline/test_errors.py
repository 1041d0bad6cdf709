"""Errors that cross process borders."""

import copy
import pickle

import pytest

from pipeline.errors import OutOfMemory, PipelineError, Remedy, SegmentationFailed


@pytest.mark.parametrize("kind", [SegmentationFailed, OutOfMemory])
@pytest.mark.parametrize("frame_index", [None, 0, 17])
@pytest.mark.parametrize("passed", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy], ids=["pickle", "copy"])
def test_message_and_frame_survive(kind: type[SegmentationFailed], frame_index: int | None, passed) -> None:  # type: ignore[no-untyped-def]
    error = passed(kind("video 'a', frame 17: NaN", frame_index))
    assert type(error) is kind
    assert str(error) == "video 'a', frame 17: NaN"
    assert error.frame_index == frame_index
    assert error.remedy is (Remedy.SMALLER if kind is OutOfMemory else Remedy.NONE)


def all_kinds(kind: type[PipelineError] = PipelineError) -> list[type[PipelineError]]:
    return [kind, *(found for below in kind.__subclasses__() for found in all_kinds(below))]


@pytest.mark.parametrize("kind", all_kinds())
def test_every_error_survives_pickling(kind: type[PipelineError]) -> None:
    error = pickle.loads(pickle.dumps(kind("what to do")))
    assert (type(error), str(error), error.remedy) == (kind, "what to do", kind.remedy)
