"""Rows of a manifest from what an annotation tool wrote."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from jobs.datasets import listing
from jobs.datasets.annotations.annotated import AnnotatedVideo, Dataset
from jobs.datasets.annotations.paths import is_name
from jobs.datasets.annotations.registry import READERS
from jobs.datasets.annotations.sources import find_source
from jobs.datasets.annotations.tasks import has_objects, task_of
from pipeline.errors import InvalidInput
from pipeline.input.manifest import VideoTask
from pipeline.storage.store import Store

_READERS = 16
_SHOWN_NOTES = 20


def tasks_of(
    layout: str,
    source: str,
    *,
    images: str | None = None,
    only: Sequence[str] | None = None,
    every_frame: bool = False,
    tell: Callable[[str], None] = lambda note: None,
) -> list[VideoTask]:
    """The videos with objects of the dataset at `source` (path or URL), in its order; at least one.

    `images`: where pictures or videos lie, by default beside the annotations. `only`: these videos. `every_frame`: all
    annotated frames are prompts. `tell` hears what is not taken. Raises InvalidInput that names file and record.
    """
    dataset = READERS[layout](source)
    chosen = _chosen(dataset, source, only)
    roots = [Store(images)] if images is not None else [Store(dataset.root.url_of(name)) for name in dataset.images]
    # Waiting for a store takes longer than looking.
    with ThreadPoolExecutor(_READERS) as readers:
        found = list(
            readers.map(lambda video: task_of(video, find_source(video, roots), every_frame=every_frame), chosen)
        )
    _tell(dataset, [note for _, notes in found for note in notes], tell)
    return [task for task, _ in found]


def _chosen(dataset: Dataset, source: str, only: Sequence[str] | None) -> list[AnnotatedVideo]:
    known = {video.video_id: video for video in dataset.videos}
    for video in dataset.videos:
        if not is_name(video.video_id):
            raise InvalidInput(f"{video.where}: a video is called {video.video_id!r}; give it a name in Unicode")
    if len(known) < len(dataset.videos):
        ids = [video.video_id for video in dataset.videos]
        twice = next(one for one in ids if ids.count(one) > 1)
        raise InvalidInput(f"{source}: two videos are called {twice!r}; rename one")
    if missing := [name for name in only or () if name not in known]:
        raise InvalidInput(f"--set: {source} has no video {listing.few(missing)}; it has {listing.few(known)}")
    chosen = [video for video in dataset.videos if (only is None or video.video_id in only) and has_objects(video)]
    if not chosen:
        raise InvalidInput(f"{source}: no object is drawn on any picture; annotate one, or choose another --layout")
    return chosen


def _tell(dataset: Dataset, notes: Sequence[str], tell: Callable[[str], None]) -> None:
    empty = sum(1 for video in dataset.videos if not has_objects(video))
    if empty:
        tell(f"left out: {empty:,} videos on which nothing is drawn")
    for kind, count in sorted(dataset.left_out.items()):
        tell(f"left out: {count:,} {kind}")
    for note in notes[:_SHOWN_NOTES]:
        tell(note)
    if len(notes) > _SHOWN_NOTES:
        tell(f"and so of {len(notes) - _SHOWN_NOTES:,} more videos")
