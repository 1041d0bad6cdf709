"""Corrected masks as further prompts: what a person drew anew, or decided on, in videos that are segmented already.

A frame that was drawn anew is the truth of all objects that are known there: one that it does not show is not in it.
Decisions speak for the objects that were decided on, and for no other. Only videos with corrections get other rows, so
only these are segmented again.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from jobs.datasets import listing
from jobs.datasets.annotations.annotated import AnnotatedFrame, AnnotatedVideo, Size
from jobs.datasets.annotations.registry import READERS
from jobs.datasets.annotations.shapes import absent_object, of_mask
from jobs.datasets.annotations.sources import Source, source_of
from jobs.datasets.annotations.tasks import has_objects, task_of
from jobs.datasets.davis import RENUMBERED, annotations, mask_files
from jobs.datasets.decisions import decided_videos
from jobs.datasets.masks import read_labels
from model.metrics import region_similarity
from model.result import Labels
from pipeline.errors import InvalidInput
from pipeline.input.manifest import PromptSource, VideoTask, read_manifest, write_manifest
from pipeline.input.manifest_files import check_format
from pipeline.input.masks import ids_in
from pipeline.input.objects import PromptObject
from pipeline.input.prompts import load_prompts
from pipeline.output.labels import CommittedVideo, committed_videos
from pipeline.output.layout import safe_name
from pipeline.storage.store import Store
from pipeline.storage.urls import name_of, parent_url

MASKS = "masks"
"""The layout of folders of label PNGs: `VIDEO/FRAME.png`, below `Annotations` or not."""
DECISIONS = "decisions"
"""The layout of the file that a report's review page saves."""
LAYOUTS = (MASKS, DECISIONS, *READERS)
_SAME_IOU = 0.98
"""What tools round when they turn masks into polygons and back stays above it."""
_METADATA = "corrections"


@dataclass(frozen=True, kw_only=True)
class Corrected:
    """What was taken over."""

    videos: int
    frames: int
    objects: int
    """Over all frames."""
    unchanged: int
    """Objects of frames that are as they were found, and are not taken over."""
    to_draw: int = 0
    """Objects of frames that were decided on without saying what their mask is."""


def correct(
    manifest: str,
    source: str,
    output: str,
    *,
    layout: str = MASKS,
    run: str | None = None,
    new_objects: bool = False,
    binary_masks: bool = False,
) -> Corrected:
    """Write `manifest` to `output` with the corrections at `source` as further prompts (paths or URLs).

    `layout`: one of LAYOUTS. `run`: what `segment` wrote; objects that are in a frame as it found them are no
    corrections. `new_objects`: objects may have ids that the video had not. On a frame that has a prompt, corrections
    replace what it says of their objects. `binary_masks`: in masks 255 is the object. `metadata.corrections` lists
    them. Raises InvalidInput that names the video and what to do, InvalidManifest, InvalidPrompt for a mask,
    StoreUnavailable.
    """
    check_format(output)
    if layout not in LAYOUTS:
        raise InvalidInput(f"--layout: {layout} is not known; choose one of {', '.join(LAYOUTS)}")
    tasks = read_manifest(manifest)
    corrector = _Corrector(tasks, run, new_objects=new_objects, binary_masks=binary_masks)
    rows = {task.video_id: task for task in tasks}
    videos = frames = objects = 0
    for task, kept in _corrections(layout, source, corrector, run):
        rows[task.video_id] = _with(task, kept, corrector)
        videos, frames = videos + 1, frames + len(kept)
        objects += sum(len(one.object_ids or ()) for one in kept)
    if not videos:
        raise _nothing(source, corrector, run)
    write_manifest(output, rows.values())
    return Corrected(
        videos=videos, frames=frames, objects=objects, unchanged=corrector.unchanged, to_draw=corrector.to_draw
    )


def _nothing(source: str, corrector: "_Corrector", run: str | None) -> InvalidInput:
    if corrector.to_draw:
        return InvalidInput(
            f"{source}: does not say of any object what its mask is: all are unsure, or rejected where nothing was "
            "found; draw these anew, and name the folder of the masks"
        )
    as_found = f", as all is as {run} has it" if run is not None and corrector.unchanged else ""
    return InvalidInput(f"{source}: holds no correction{as_found}; save what you corrected, and name its folder")


def _corrections(
    layout: str, source: str, corrector: "_Corrector", run: str | None
) -> Iterator[tuple[VideoTask, Sequence[PromptSource]]]:
    """By video what its corrections are, at least one."""
    if layout == DECISIONS:
        yield from _decided(source, corrector, run)
        return
    read = _masks(source, corrector) if layout == MASKS else _annotated(layout, source, corrector)
    for task, found in read:
        if kept := corrector.changed(task, found):
            yield task, kept


class _Corrector:
    """What is known of the videos that are corrected."""

    def __init__(self, tasks: Sequence[VideoTask], run: str | None, *, new_objects: bool, binary_masks: bool) -> None:
        self._tasks = {name: task for task in tasks for name in (safe_name(task.video_id), task.video_id)}
        self._found: Mapping[str, CommittedVideo] = {} if run is None else committed_videos(run)
        self._new_objects = new_objects
        self._binary_masks = binary_masks
        self._known: dict[str, dict[int, int]] = {}
        self.unchanged = 0
        self.to_draw = 0

    def task(self, name: str, where: str) -> VideoTask:
        """The video of this id, or of the name that exports give it."""
        if name not in self._tasks:
            known = listing.few(dict.fromkeys(task.video_id for task in self._tasks.values()))
            raise InvalidInput(f"{where}: the manifest has no video {name!r}; it has {known}: rename it, or remove it")
        return self._tasks[name]

    def known(self, task: VideoTask) -> Mapping[int, int]:
        """By object of the video the first frame on which it is prompted; its masks are read once."""
        if task.video_id not in self._known:
            self._known[task.video_id] = self._first_prompts(task)
        return self._known[task.video_id]

    def _first_prompts(self, task: VideoTask) -> dict[int, int]:
        first: dict[int, int] = {}
        for prompt in task.prompts:
            for object_id in self._ids(prompt):
                first.setdefault(object_id, prompt.frame_index)
        return first

    def speaks_for(self, task: VideoTask, frame_index: int, shown: Sequence[int], where: str) -> tuple[int, ...]:
        """The objects that a corrected frame speaks for: those it shows, and those it could have shown."""
        known = self.known(task)
        if not self._new_objects and (strangers := [str(one) for one in shown if one not in known]):
            raise InvalidInput(
                f"{where}: {task.name} has no object {listing.few(strangers)}, only {listing.few(map(str, known))}; "
                "correct the id, or let new objects in with --new-objects"
            )
        return tuple(sorted({*shown, *(one for one, first in known.items() if first <= frame_index)}))

    def read(self, folder: Store, name: str) -> Labels:
        """A mask as labels [H, W]."""
        return read_labels(folder, name, binary_masks=self._binary_masks)

    def _ids(self, prompt: PromptSource) -> tuple[int, ...]:
        if prompt.mask_uri is None or prompt.known_ids is not None:
            return prompt.known_ids or ()
        return ids_in(self.read(Store(parent_url(prompt.mask_uri)), name_of(prompt.mask_uri)))

    def without(self, prompt: PromptSource, ids: Collection[int]) -> PromptSource | None:
        """What it says of other objects; None where that is nothing."""
        if not ids:
            return prompt
        others = tuple(one for one in self._ids(prompt) if one not in ids)
        objects = tuple(one for one in prompt.objects if one.object_id in others)
        return replace(prompt, objects=objects, object_ids=others) if others else None

    def changed(self, task: VideoTask, found: Sequence[PromptSource]) -> list[PromptSource]:
        """The corrections by frame, each only for objects that are not as the run found them."""
        ordered = sorted(found, key=lambda one: one.frame_index)
        video = self._found.get(task.video_id)
        before: Iterator[Labels | None] = iter([None] * len(ordered))
        if video is not None:
            before = (frame.labels for frame in video.labels(one.frame_index for one in ordered))
        size = video.size if video is not None else source_of(task.video_uri).size_of(ordered[0].frame_index)
        pairs = zip(ordered, before, strict=True)
        return [one for one in (self._changed(task, one, size, labels) for one, labels in pairs) if one is not None]

    def _changed(self, task: VideoTask, one: PromptSource, size: Size, before: Labels | None) -> PromptSource | None:
        alone = replace(task, prompts=(one,))
        given = load_prompts(alone, *size, binary_masks=self._binary_masks)[one.frame_index]
        if before is None or one.has_boxes:
            return one
        same = {i for i in given.object_ids if region_similarity(given.labels == i, before == i) >= _SAME_IOU}
        self.unchanged += len(same)
        return self.without(one, same)


def _decided(source: str, corrector: _Corrector, run: str | None) -> Iterator[tuple[VideoTask, Sequence[PromptSource]]]:
    if run is None:
        raise InvalidInput(f"--layout {DECISIONS} needs --run OUTPUT, which has the masks that were decided on")
    for video in decided_videos(source, run):
        task = corrector.task(video.video_id, source)
        corrector.to_draw += video.to_draw
        if video.prompts:
            yield task, video.prompts


def _masks(source: str, corrector: _Corrector) -> Iterator[tuple[VideoTask, list[PromptSource]]]:
    folder = Store(source)
    renumbered = _renumbered(folder)
    if "Annotations" in listing.folders(folder):
        folder = annotations(source)
    for name in listing.folders(folder):
        task = corrector.task(name, folder.url_of(name))
        frames, numbers = source_of(task.video_uri), renumbered.get(name, {})
        found = [
            _of_mask(task, folder, f"{name}/{mask}", frames, numbers, corrector) for mask in mask_files(folder, name)
        ]
        if found:
            yield task, found


def _renumbered(folder: Store) -> Mapping[str, Mapping[int, int]]:
    """By video and number in its masks the ids that `export` replaced."""
    try:
        content = json.loads(folder.get(RENUMBERED))
        return {name: {int(number): int(one) for number, one in ids.items()} for name, ids in content.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError, TypeError) as error:
        raise InvalidInput(f"{folder.url_of(RENUMBERED)}: is not as `export` wrote it; copy it again") from error


def _of_mask(
    task: VideoTask, folder: Store, name: str, frames: Source, numbers: Mapping[int, int], corrector: _Corrector
) -> PromptSource:
    url = folder.url_of(name)
    index = frames.index_of(AnnotatedFrame(drawn=(), picture=name_of(url)), 0)
    if index is None:
        raise InvalidInput(f"{url}: {task.name} has no frame of this name; call it as the frame, or by its number")
    labels = corrector.read(folder, name)
    shown = {numbers.get(number, number): number for number in ids_in(labels)}
    ids = corrector.speaks_for(task, index, list(shown), url)
    if not numbers:
        return PromptSource(frame_index=index, mask_uri=url, object_ids=ids)
    drawn = [PromptObject.of_rle(one, of_mask(labels == number)["rle"]) for one, number in shown.items()]
    return _with_absent(PromptSource(frame_index=index, objects=tuple(drawn)), ids, labels.shape)


def _annotated(layout: str, source: str, corrector: _Corrector) -> Iterator[tuple[VideoTask, list[PromptSource]]]:
    for video in READERS[layout](source).videos:
        if not has_objects(video):
            continue
        task = corrector.task(video.video_id, video.where)
        _check_tracks(video)
        row, _ = task_of(video, source_of(task.video_uri), every_frame=True)
        if "tracks" in row.metadata:
            raise InvalidInput(
                f"{video.where}: its track ids are no object ids of {task.name}; keep those of the export"
            )
        yield (
            task,
            [_whole(task, prompt, video, (row.height or 0, row.width or 0), corrector) for prompt in row.prompts],
        )


def _check_tracks(video: AnnotatedVideo) -> None:
    for frame in video.frames:
        for one in frame.drawn:
            if one.track is None:
                raise InvalidInput(
                    f"{one.where}: has no track id, so nobody knows which object it corrects; export to a layout that "
                    "keeps them (cvat, label-studio, coco), and give new shapes that of their object"
                )


def _whole(
    task: VideoTask, prompt: PromptSource, video: AnnotatedVideo, size: Size, corrector: _Corrector
) -> PromptSource:
    """The prompt, also of objects that are known on its frame and not drawn there."""
    shown = [one.object_id for one in prompt.objects]
    ids = corrector.speaks_for(task, prompt.frame_index, shown, f"{video.where}: frame {prompt.frame_index}")
    return _with_absent(prompt, ids, size)


def _with_absent(prompt: PromptSource, ids: Sequence[int], size: Size) -> PromptSource:
    """With those of `ids` that it does not show."""
    shown = {one.object_id for one in prompt.objects}
    absent = [absent_object(one, size) for one in ids if one not in shown]
    return replace(prompt, objects=(*absent, *prompt.objects), object_ids=tuple(ids))


def _with(task: VideoTask, corrections: Sequence[PromptSource], corrector: _Corrector) -> VideoTask:
    """The row with these further prompts, which replace what others say of the same objects and frames."""
    anew = {one.frame_index: one.object_ids or () for one in corrections}
    kept = [corrector.without(one, anew.get(one.frame_index, ())) for one in task.prompts]
    prompts = [one for one in kept if one is not None]
    history = list(task.metadata.get(_METADATA) or ())
    history += [{"frame_index": one.frame_index, "object_ids": list(one.object_ids or ())} for one in corrections]
    return replace(
        task,
        prompts=tuple(sorted([*prompts, *corrections], key=lambda one: one.frame_index)),
        metadata={**task.metadata, _METADATA: history},
    )
