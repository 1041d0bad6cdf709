"""Outputs and truths that the tests of `vos-batch evaluate` write themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.result import BankStatistics, FrameResult, ObjectStatistics
from pipeline.output.commits import Commit, CommitLog
from pipeline.output.marker import claim_output
from pipeline.output.writer import VideoWriter
from pipeline.storage.store import Store
from tests.pipeline.made_commits import make_commit

AnyLabels = NDArray[np.integer]
"""[H, W] of any whole numbers."""


@dataclass(frozen=True)
class Info:
    index: int
    name: str | None
    timestamp_us: int | None = None
    damaged: bool = False


def labels(*objects: int) -> NDArray[np.uint8]:
    """Frames of 20 x 30 whose left third carries the given id."""
    made = np.zeros((len(objects), 20, 30), np.uint8)
    made[:, :, :10] = np.array(objects)[:, None, None]
    return made


def shrinking(*widths: int) -> NDArray[np.uint8]:
    """Object 1 with its `widths` leftmost columns: against ten columns of truth J is width / 10."""
    made = labels(*[0] * len(widths))
    for frame, width in zip(made, widths, strict=True):
        frame[:, :width] = 1
    return made


def put_video(
    output: str,
    video_id: str,
    predictions: Sequence[AnyLabels] | AnyLabels,
    *,
    names: Sequence[str] | None = None,
    start: int = 0,
    prompted: Sequence[int] = (0,),
    uncertainty: Sequence[float | None] = (),
) -> None:
    """Commit a video with these masks. `names` are those of a folder's frames; else it is a video file.

    `uncertainty`: in each frame that of all its objects.
    """
    store = Store(output)
    claim_output(store)
    known: set[int] = set()
    with VideoWriter(store, video_id, "1") as writer:
        for position, frame in enumerate(predictions):
            index = start + position
            known |= set(np.flatnonzero(np.bincount(frame.ravel())).tolist()) - {0}
            info = Info(index, names[position] if names else None)
            value = uncertainty[position] if uncertainty else None
            writer.add(info, result(frame, sorted(known), value, prompted=index in prompted))
        files = writer.finish()
    made = make_commit(video_id)
    size = {"height": predictions[0].shape[0], "width": predictions[0].shape[1], "frames_decoded": len(predictions)}
    CommitLog(store).commit(
        Commit(video_id=video_id, identity=made.identity, files=files, video={**made.video, **size})
    )


def result(frame: AnyLabels, object_ids: Sequence[int], uncertainty: float | None, *, prompted: bool) -> FrameResult:
    return FrameResult(
        labels=frame.astype(np.int32),
        objects=tuple(ObjectStatistics(object_id=i, score=None, uncertainty=uncertainty) for i in object_ids),
        statistics=None,
        bank=BankStatistics(),
        prompted=prompted,
    )


def put_truth(
    root: Path, video_id: str, masks: Sequence[AnyLabels] | AnyLabels, *, names: Sequence[str] = (), level: str = ""
) -> str:
    folder = root / "Annotations" / level / video_id
    folder.mkdir(parents=True)
    for index, mask in enumerate(masks):
        Image.fromarray(np.asarray(mask)).save(folder / f"{names[index] if names else f'{index:05d}'}.png")
    return str(root)


def two_sequences(output: str, root: Path) -> str:
    """Commit two videos and give their truth: three objects, one of them lost in a frame."""
    both = labels(1, 1, 1, 1)
    both[:, :, 20:] = 2
    found = both.copy()
    found[1][found[1] == 2] = 0
    put_video(output, "pair [x]", found)
    put_video(output, "single", labels(1, 1, 1))
    put_truth(root, "pair [x]", both)
    return put_truth(root, "single", labels(1, 1, 1))
