"""Which videos are exported, and what they are called and numbered: the same whatever is done of it already."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.datasets import listing
from jobs.exports.format import Corpus
from jobs.exports.video import UNCLASSED, ExportedVideo, Selection
from pipeline.errors import InvalidInput
from pipeline.input.manifest import VideoTask, read_manifest
from pipeline.output import tables
from pipeline.output.labels import CommittedVideo, committed_videos
from pipeline.output.layout import safe_name

_COLUMNS = ["video_id", "objects", "frames_decoded", "fps"]
_PLAIN = re.compile(r"[^\x00-\x1f\x7f/\\:*?\"<>|#%]{1,80}")
"""Ids that are file names everywhere, in whatever language."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a caller wants to have exported."""

    selection: Selection
    only: Sequence[str] = ()
    """Video ids; empty: all."""
    manifest: str | None = None
    """Where the videos are, and their classes."""
    classes: bool = False
    """Whether objects have the classes that the manifest names."""


def plan(output: str, asked: Asked) -> tuple[Corpus, list[ExportedVideo]]:
    """The videos in the order of their ids, at few requests however many there are.

    Raises InvalidInput when nothing is committed, for unknown ids, and where the manifest lacks something;
    InvalidOutput, InvalidManifest, StoreUnavailable.
    """
    if asked.classes and asked.manifest is None:
        raise InvalidInput("--classes needs the manifest that names them: give it with --manifest")
    found = _chosen(output, committed_videos(output), asked.only)
    rows = _rows(output)
    tasks = _tasks(asked.manifest, list(found)) if asked.manifest else {}
    named = {video_id: _classes(tasks[video_id], rows[video_id]["objects"]) for video_id in found if asked.classes}
    categories = sorted({name for names in named.values() for name in names.values()}) or [UNCLASSED]
    ids = {name: number for number, name in enumerate(categories, start=1)}
    videos = list(_numbered(found, rows, tasks, named, ids, asked.selection))
    _refuse_same_names(videos)
    return Corpus(categories=categories), videos


def _rows(output: str) -> dict[str, dict[str, Any]]:
    rows: list[dict[str, Any]] = tables.open(output, "videos").to_table(columns=_COLUMNS).to_pylist()
    return {row["video_id"]: row for row in rows}


def _chosen(output: str, found: Mapping[str, CommittedVideo], only: Sequence[str]) -> dict[str, CommittedVideo]:
    if not found:
        raise InvalidInput(f"{output} has no committed video yet: `vos-batch segment` writes them")
    if unknown := set(only) - found.keys():
        known = listing.few(sorted(found))
        raise InvalidInput(f"--only: {output} has no committed video {listing.few(sorted(unknown))}; it has {known}")
    return {video_id: found[video_id] for video_id in sorted(found) if not only or video_id in only}


def _tasks(manifest: str, wanted: Sequence[str]) -> dict[str, VideoTask]:
    tasks = {task.video_id: task for task in read_manifest(manifest)}
    if missing := [video_id for video_id in wanted if video_id not in tasks]:
        raise InvalidInput(
            f"{manifest} has no row for {listing.few(missing)}: name the manifest that OUTPUT was made of, or leave "
            "these videos out with --only"
        )
    return tasks


def _classes(task: VideoTask, object_ids: Sequence[int]) -> dict[int, str]:
    classes = task.metadata.get("classes", {})
    if not isinstance(classes, dict) or not all(isinstance(name, str) and name for name in classes.values()):
        raise InvalidInput(f'{task.name}: metadata.classes must be like {{"1": "car"}}: correct it')
    return {object_id: classes.get(str(object_id), UNCLASSED) for object_id in object_ids}


def _numbered(
    found: Mapping[str, CommittedVideo],
    rows: Mapping[str, Mapping[str, Any]],
    tasks: Mapping[str, VideoTask],
    named: Mapping[str, Mapping[int, str]],
    categories: Mapping[str, int],
    selection: Selection,
) -> Iterator[ExportedVideo]:
    frames = objects = object_frames = 0
    for number, (video_id, committed) in enumerate(found.items(), start=1):
        row = rows[video_id]
        yield ExportedVideo(
            found=committed,
            name=video_id if _is_plain(video_id) else safe_name(video_id),
            number=number,
            object_ids=tuple(row["objects"]),
            fps=row["fps"],
            frames_before=frames,
            objects_before=objects,
            object_frames_before=object_frames,
            selection=selection,
            classes=named.get(video_id, {}),
            categories=categories,
            task=tasks.get(video_id),
        )
        frames += row["frames_decoded"]
        objects += len(row["objects"])
        object_frames += row["frames_decoded"] * len(row["objects"])


def _is_plain(video_id: str) -> bool:
    return bool(_PLAIN.fullmatch(video_id)) and video_id[0] not in "._-~" and video_id == video_id.strip(" .")


def _refuse_same_names(videos: Sequence[ExportedVideo]) -> None:
    seen: dict[str, ExportedVideo] = {}
    for video in videos:
        other = seen.setdefault(video.name.casefold(), video)
        if other is not video:
            raise InvalidInput(
                f"the videos {other.video_id!r} and {video.video_id!r} would have the same files on some disks: "
                "export them apart, with --only"
            )
