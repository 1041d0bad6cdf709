"""Outputs that the tests of reviews write themselves."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.reviewing.samples import SAMPLES, J
from jobs.reviewing.statistics import STATISTICS
from model.result import BankStatistics, FrameResult, FrameStatistics, ObjectStatistics
from pipeline.output.commits import Commit, create_commit
from pipeline.output.labels import CommittedVideo, committed_video
from pipeline.output.marker import claim_output
from pipeline.output.writer import VideoWriter
from pipeline.storage.store import Store
from tests.jobs.evaluation.scored import AnyLabels, Info
from tests.pipeline.made_commits import make_commit

FIRST_OF_ONE: Mapping[int, Mapping[int, bool]] = {0: {1: False}}


def put(
    output: str,
    video_id: str,
    masks: Sequence[AnyLabels] | AnyLabels,
    *,
    prompts: Mapping[int, Mapping[int, bool]] = FIRST_OF_ONE,
    uncertainty: Sequence[float] = (),
    cuts: Sequence[int] = (),
    told: bool = True,
    backward: Sequence[int] = (),
    identity: str = "a" * 32,
) -> CommittedVideo:
    """Commit a video with these masks and return it.

    `prompts`: by frame and object whether it is approximate; `uncertainty`: in each frame that of all its objects;
    `backward`: frames whose masks come from a later prompt; `told`: whether the masks say which objects are prompted,
    as earlier versions did not.
    """
    store = Store(output)
    claim_output(store)
    known: set[int] = set()
    with VideoWriter(store, video_id, "1") as writer:
        for index, labels in enumerate(masks):
            known |= set(prompts.get(index, {})) | ({1} if index in backward else set())
            value = uncertainty[index] if uncertainty else 0.1
            result = FrameResult(
                labels=np.asarray(labels, np.int32),
                objects=tuple(_statistics(i, labels, value, index) for i in sorted(known)),
                statistics=_frame_statistics(value) if index else None,
                bank=BankStatistics(size=100 + index, appended=3, merged=1, evicted=1),
                prompted=index in prompts,
                shot_cut=index in cuts,
            )
            writer.add(
                Info(index, None),
                result,
                approximate=prompts.get(index, {}) if told else {},
                backward=known if index in backward else (),
            )
        files = writer.finish()
    made = make_commit(video_id, identity)
    size = {"height": masks[0].shape[0], "width": masks[0].shape[1], "frames_decoded": len(masks)}
    create_commit(
        store, Commit(video_id=video_id, identity=identity, files=files, video={**made.video, **size}, driver=1)
    )
    return committed_video(output, video_id)


def _statistics(object_id: int, labels: AnyLabels, uncertainty: float, index: int) -> ObjectStatistics:
    there = bool((labels == object_id).any())
    predicted = uncertainty if index else None
    return ObjectStatistics(object_id=object_id, score=0.9 if there and index else None, uncertainty=predicted)


def _frame_statistics(uncertainty: float) -> FrameStatistics:
    return FrameStatistics(
        uncertainty_mean=uncertainty / 10,
        uncertainty_p50=0.0,
        uncertainty_p95=uncertainty,
        uncertainty_max=1.0,
        uncertain_fraction=uncertainty / 20,
        margin=0.9,
        entropy=0.1,
    )


def box(x: int, y: int, w: int, h: int, *, size: tuple[int, int] = (20, 30), object_id: int = 1) -> NDArray[np.uint8]:
    """A label map with one filled box."""
    labels = np.zeros(size, np.uint8)
    labels[y : y + h, x : x + w] = object_id
    return labels


def samples(video_id: str, seed: int, *, frames: int = 40, objects: int = 1) -> pa.Table:
    """SAMPLES whose J falls with the uncertainty since the prompt, and with nothing else."""
    rng = np.random.default_rng(seed)
    number = frames * objects
    columns = {name: rng.random(number).astype(np.float32) for name in STATISTICS}
    noise = rng.normal(0, 0.05, number)
    columns[J] = np.clip(1 - columns["uncertainty_since"] + noise, 0, 1).astype(np.float32)
    keys = {
        "video_id": [video_id] * number,
        "frame_index": np.repeat(np.arange(1, frames + 1), objects),
        "object_id": np.tile(np.arange(1, objects + 1, dtype=np.int32), frames),
        "prompted": np.zeros(number, bool),
    }
    return pa.table(keys | columns, schema=SAMPLES)
