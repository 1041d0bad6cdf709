"""Object-frames whose J is known, to fit a model on or to score one: their statistics beside their J.

Prompted object-frames are none: what a person gave there needs no judgement.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from jobs.evaluation.matching import Truth
from jobs.evaluation.scoring import nothing_to_score
from jobs.evaluation.truth import NotScored
from jobs.reviewing.statistics import OBJECT_FRAMES, object_frames
from pipeline.errors import InvalidInput
from pipeline.input.frame_folder import natural_key
from pipeline.output.labels import CommittedVideo, committed_videos

J = "j"
"""Name of the column with the truth."""
SAMPLES = OBJECT_FRAMES.append(
    pa.field(J, pa.float32(), nullable=False, metadata={"description": "intersection over union with the truth"})
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """Of one output."""

    videos: Mapping[str, pa.Table]
    """SAMPLES by video_id, in natural order, each with at least one row."""
    skipped: Mapping[str, str]
    """Why a video has none."""

    @property
    def table(self) -> pa.Table:
        """All of them."""
        return pa.concat_tables(self.videos.values())


def read_samples(output: str, truth: Truth) -> Samples:
    """The samples of an output, at least one.

    Raises InvalidOutput for a folder that is not ours, InvalidInput where nothing can be scored or sizes differ,
    InvalidPrompt for a mask that cannot be read, StoreUnavailable.
    """
    found, skipped = {}, {}
    for video_id, video in _by_name(committed_videos(output)):
        try:
            found[video_id] = samples_of(video, truth)
        except NotScored as reason:
            skipped[video_id] = str(reason)
    if not found:
        raise InvalidInput(nothing_to_score(truth.store.url, skipped))
    return Samples(videos=found, skipped=skipped)


def _by_name(videos: Mapping[str, CommittedVideo]) -> Iterator[tuple[str, CommittedVideo]]:
    return ((video_id, videos[video_id]) for video_id in sorted(videos, key=natural_key))


def samples_of(video: CommittedVideo, truth: Truth) -> pa.Table:
    """SAMPLES of one video. Raises NotScored where it has none."""
    known = {(one.frame_index, one.object_id): one.J for one in truth.object_frames(video)}
    statistics = object_frames(video)
    keys = zip(statistics["frame_index"].to_pylist(), statistics["object_id"].to_pylist(), strict=True)
    J_N = np.array([known.get(key, np.nan) for key in keys], np.float32)
    wanted = ~np.isnan(J_N) & ~statistics["prompted"].to_numpy()
    if not wanted.any():
        raise NotScored("no frame behind a prompt has a truth")
    table = statistics.append_column(SAMPLES.field(J), pa.array(J_N, pa.float32()))
    return table.filter(pa.array(wanted))


def one_truth_each(outputs: Sequence[str], truths: Sequence[str]) -> list[tuple[str, str]]:
    """Each output and its truth: one for all, or one for each in their order. Raises InvalidInput."""
    if len(truths) == 1:
        return [(output, truths[0]) for output in outputs]
    if len(truths) != len(outputs):
        raise InvalidInput(
            f"{len(outputs)} outputs and {len(truths)} truths: give one --truth for all, or one for each in their order"
        )
    return list(zip(outputs, truths, strict=True))
