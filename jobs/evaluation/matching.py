"""The masks of an output beside those of its truth, frame by frame.

One frame of both is in memory at a time, so memory grows neither with the number of frames nor with the size of masks.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from jobs.datasets import listing
from jobs.datasets.davis import annotations, mask_files
from jobs.evaluation.truth import NotScored, TruthMask, belonging, check_size
from model.metrics import object_similarity
from model.result import Labels
from pipeline.input.masks import read_mask
from pipeline.output.labels import CommittedVideo, FrameLabels
from pipeline.overlap import Ahead

_FRAME_COLUMNS = ["frame_index", "frame_name", "prompted"]
_TRUTHS_AHEAD = 4


class Compared(NamedTuple):
    """One frame that has a truth."""

    mask: TruthMask
    truth: Labels
    """[H, W]."""
    found: FrameLabels


class ObjectFrameJ(NamedTuple):
    """How right one object's mask is in one frame."""

    video_id: str
    frame_index: int
    object_id: int
    J: float


class Matched:
    """A video and the masks of the truth that belong to its frames."""

    def __init__(self, video: CommittedVideo, truth: "Truth") -> None:
        self.frames: list[dict[str, Any]] = video.frames(_FRAME_COLUMNS).to_pylist()
        self.names: Sequence[str] = mask_files(truth.store, video.video_id)
        self.masks = belonging(self.names, self.frames, truth.store.url_of(video.video_id))
        self._video = video
        self._truth = truth

    def compared(self) -> Iterator[Compared]:
        """Frame by frame. Raises InvalidInput where sizes differ, InvalidPrompt, StoreUnavailable."""
        found = self._video.labels(mask.frame_index for mask in self.masks)
        with Ahead(self._labels(), _TRUTHS_AHEAD) as truths:
            for mask, truth, frame in zip(self.masks, truths, found, strict=True):
                yield Compared(mask, truth, frame)

    def _labels(self) -> Iterator[Labels]:
        store = self._truth.store
        for mask in self.masks:
            name = f"{self._video.video_id}/{mask.name}"
            where = f"video {self._video.video_id!r}, frame {mask.frame_index}: truth {store.url_of(name)}"
            labels = read_mask(store.get(name), where, binary_masks=self._truth.binary_masks)
            check_size(labels, self._video.size, where)
            yield labels


class Truth:
    """A folder of true masks, by video."""

    def __init__(self, root: str, *, resolution: str | None = None, binary_masks: bool = False) -> None:
        """`root` holds `Annotations/[RESOLUTION/]VIDEO/*.png` (path or URL). Raises InvalidInput, StoreUnavailable."""
        self.store = annotations(root, resolution)
        self.binary_masks = binary_masks
        self.video_ids = listing.folders(self.store)

    def matched(self, video: CommittedVideo) -> Matched:
        """A video and its truth. Raises NotScored where it has none."""
        if video.video_id not in self.video_ids:
            raise NotScored(f"no folder of its name in {self.store.url}")
        return Matched(video, self)

    def object_frames(self, video: CommittedVideo) -> Iterator[ObjectFrameJ]:
        """J of every object of the video in every frame that has a truth, from the object's first prompt on.

        Void in the truth counts for nobody; J is 1 where neither mask has a pixel. Raises NotScored where the video
        has no truth, else as `Matched.compared`.
        """
        for mask, truth, found in self.matched(video).compared():
            for object_id in found.uncertainty:
                J = object_similarity(found.labels, truth, object_id)
                yield ObjectFrameJ(video.video_id, mask.frame_index, object_id, J)
