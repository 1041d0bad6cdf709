"""YouTube-VIS: `videos` with their `file_names`, and an annotation an object with a mask, or null, for each of them.

Format: https://youtube-vos.org/dataset/vis/
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.datasets.annotations.annotated import AnnotatedFrame, AnnotatedVideo, Dataset, Drawn
from jobs.datasets.annotations.coco import by_id, category_names, class_of, records, segmentation, size_in
from jobs.datasets.annotations.documents import key_in, read_json_object
from jobs.datasets.annotations.paths import dataset_of, parts_of
from pipeline.errors import InvalidInput
from pipeline.storage.urls import name_of

_WHAT = "the JSON file of YouTube-VIS's videos, annotations and categories"


def read(source: str) -> Dataset:
    """The videos of a YouTube-VIS file, or of a folder that holds one. Raises InvalidInput, StoreUnavailable."""
    root, url = dataset_of(source, ".json", _WHAT, prefix="instances")
    content = read_json_object(url, _WHAT, ("videos", "annotations", "categories"))
    videos = by_id(content["videos"], url, "videos")
    categories = category_names(content["categories"], url)
    drawn: dict[Any, list[list[Drawn]]] = {
        number: [[] for _ in _names(video, f"{url}: video {number}")] for number, video in videos.items()
    }
    for where, annotation in records(content["annotations"], url, "annotation"):
        if (video := key_in(annotation, "video_id")) not in drawn:
            raise InvalidInput(
                f"{where}: video_id {annotation.get('video_id')!r} is no video of the file; add the video, or remove it"
            )
        _add(annotation, where, categories, drawn[video])
    found = [_video(video, drawn[number], f"{url}: video {number}") for number, video in videos.items()]
    stem = name_of(url).rpartition(".")[0]
    return Dataset(root=root, images=("JPEGImages", f"{stem}/JPEGImages", stem, "images", ""), videos=found)


def _names(video: Mapping[str, Any], where: str) -> list[Any]:
    names = video.get("file_names")
    if not isinstance(names, list) or not names:
        raise InvalidInput(f"{where}: has no file_names; list the pictures of its frames")
    return names


def _add(
    annotation: Mapping[str, Any], where: str, categories: Mapping[Any, str], frames: Sequence[list[Drawn]]
) -> None:
    masks, boxes = annotation.get("segmentations"), annotation.get("bboxes")
    listed = masks if masks is not None else boxes
    if not isinstance(listed, list) or len(listed) != len(frames):
        count = len(listed) if isinstance(listed, list) else "no"
        raise InvalidInput(f"{where}: has {count} segmentations, its video {len(frames)} file_names; export it again")
    name, track = class_of(annotation, where, categories), key_in(annotation, "object_id", "id")
    for place, value in enumerate(listed):
        if value:
            frames[place].append(_drawn(value, f"{where}, frame {place}", name, track, masks is not None))


def _drawn(value: Any, where: str, name: str, track: int | str | None, is_mask: bool) -> Drawn:
    return Drawn(
        where=where,
        class_name=name,
        draw=lambda size: segmentation(value, size, where) if is_mask else {"box": value},
        track=track,
    )


def _video(video: Mapping[str, Any], drawn: Sequence[Sequence[Drawn]], where: str) -> AnnotatedVideo:
    places = [parts_of(name, where) for name in video["file_names"]]
    folders = {folder for folder, _ in places}
    if len(folders) > 1:
        raise InvalidInput(f"{where}: its file_names lie in {len(folders)} folders; put the frames of a video into one")
    (folder,) = folders
    size = size_in(video, where)
    frames = [
        AnnotatedFrame(drawn=objects, picture=picture, size=size)
        for objects, (_, picture) in zip(drawn, places, strict=True)
    ]
    return AnnotatedVideo(
        video_id=str(video.get("name") or folder or video["id"]), where=where, folders=(folder,), frames=frames
    )
