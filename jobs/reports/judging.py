"""What masks are expected to be worth, found out once for the queue and for the pages."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.reviewing.expected import expected
from jobs.reviewing.quality import QualityModel
from jobs.reviewing.queue import Asking, Budget, QueueItem, review_queue
from pipeline.errors import InvalidOutput
from pipeline.output import tables
from pipeline.output.labels import CommittedVideo
from pipeline.output.layout import safe_name
from pipeline.scratch import Scratch

_COLUMNS = ["frame_index", "object_id", "expected_j"]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """An output as a model sees it. For the time of `judging`, for tables wait on the disk."""

    items: Sequence[QueueItem]
    """What a person should look at, worst first."""
    model: QualityModel
    folder: Path

    def of(self, video: CommittedVideo) -> pa.Table:
        """frame_index, object_id and expected_j of a video's object-frames.

        One that was committed meanwhile is judged now. Raises FileNotFoundError when it was replaced and removed.
        """
        path = _path(self.folder, video)
        return pq.read_table(path) if path.exists() else expected(video, self.model).select(_COLUMNS)


def _path(folder: Path, video: CommittedVideo) -> Path:
    return folder / f"{safe_name(video.video_id)}-{video.identity}.parquet"


@contextmanager
def judging(
    output: str,
    model: QualityModel,
    budget: Budget,
    per_video: int | None = None,
    shown: Callable[[Iterable[CommittedVideo], int], Iterable[CommittedVideo]] = lambda videos, _: videos,
) -> Iterator[Judged]:
    """Judge all that is committed in an output, and choose what a person should look at.

    `shown` may tell how far it is. In memory is one video. Raises InvalidOutput, StoreUnavailable.
    """
    with Scratch() as scratch:
        empty = not tables.open(output, "videos").count_rows()
        try:
            items = (
                ()
                if empty
                else review_queue(
                    output,
                    model,
                    budget,
                    Asking(per_video=per_video),
                    shown=shown,
                    keep=lambda video, table: pq.write_table(table.select(_COLUMNS), _path(scratch.folder, video)),
                )
            )
        except FileNotFoundError as error:
            raise InvalidOutput(f"{output}: {error}; a result was replaced meanwhile: call again") from error
        yield Judged(items=items, model=model, folder=scratch.folder)
