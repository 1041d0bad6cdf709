"""Annotations as datumaro, supervision and cvat-sdk write them."""

from pathlib import Path
from xml.sax.saxutils import quoteattr

import cv2
import cvat_sdk.masks
import numpy as np
import supervision
from datumaro.components.annotation import AnnotationType, Bbox, LabelCategories, Mask
from datumaro.components.dataset import Dataset
from datumaro.components.dataset_base import DatasetItem
from datumaro.components.media import Image
from scene import CLASSES, Frame, class_of, main, write_pictures


def datumaro_coco(frames: list[Frame], folder: Path) -> None:
    _masks(frames).export(str(folder), "coco_instances", save_media=True)


def datumaro_cvat(frames: list[Frame], folder: Path) -> None:
    _masks(frames).export(str(folder), "cvat", save_media=True)


def datumaro_tracks(frames: list[Frame], folder: Path) -> None:
    _masks(frames, numbered=True).export(str(folder), "cvat", use_track=True)
    write_pictures(folder / "images", frames)


def datumaro_yolo(frames: list[Frame], folder: Path) -> None:
    _boxes(frames).export(str(folder), "yolo", save_media=True)


def datumaro_ultralytics(frames: list[Frame], folder: Path) -> None:
    _boxes(frames, "train", "val").export(str(folder), "yolo_ultralytics", save_media=True)


def _masks(frames: list[Frame], *, numbered: bool = False) -> Dataset:
    return _dataset(
        frames,
        ("default",),
        lambda object_id, mask: Mask(
            mask.astype(np.uint8), label=class_of(object_id), attributes={"track_id": object_id}
        ),
        numbered,
    )


def _boxes(frames: list[Frame], *subsets: str) -> Dataset:
    return _dataset(
        frames,
        subsets or ("default",),
        lambda object_id, mask: Bbox(*cv2.boundingRect(mask.astype(np.uint8)), label=class_of(object_id)),
    )


def _dataset(frames: list[Frame], subsets: tuple[str, ...], draw, numbered: bool = False) -> Dataset:  # type: ignore[no-untyped-def]
    labels = LabelCategories()
    for name in CLASSES:
        labels.add(name, attributes={"track_id"})
    videos = list(dict.fromkeys(frame.video for frame in frames))
    items = [
        DatasetItem(
            attributes={"frame": place} if numbered else {},
            id=f"{frame.video}/{frame.stem}",
            subset=subsets[videos.index(frame.video) % len(subsets)],
            media=Image.from_numpy(np.full((*frame.size, 3), 90, np.uint8), ext=".png"),
            annotations=[draw(object_id, mask) for object_id, mask in frame.masks.items()],
        )
        for place, frame in enumerate(frames)
    ]
    return Dataset.from_iterable(items, categories={AnnotationType.label: labels})


def supervision_yolo(frames: list[Frame], folder: Path) -> None:
    found = _detections(frames, folder)
    found.as_yolo(str(folder / "images"), str(folder / "labels"), str(folder / "data.yaml"))


def supervision_coco(frames: list[Frame], folder: Path) -> None:
    _detections(frames, folder).as_coco(str(folder / "images"), str(folder / "annotations.json"))


def supervision_labelme(frames: list[Frame], folder: Path) -> None:
    _detections(frames, folder).as_labelme(str(folder / "walk"), str(folder / "walk"))


def _detections(frames: list[Frame], folder: Path) -> supervision.DetectionDataset:
    """It knows pictures of one folder alone."""
    paths = [str(path) for path in write_pictures(folder.parent / "pictures", frames)]
    annotations = {}
    for path, frame in zip(paths, frames, strict=True):
        masks = np.stack(list(frame.masks.values()))
        classes = np.array([class_of(object_id) for object_id in frame.masks])
        annotations[path] = supervision.Detections(xyxy=supervision.mask_to_xyxy(masks), mask=masks, class_id=classes)
    return supervision.DetectionDataset(CLASSES, paths, annotations)


def cvat_masks(frames: list[Frame], folder: Path) -> None:
    """cvat-sdk writes no files, but the masks in them."""
    write_pictures(folder / "images", frames)
    images = []
    for number, frame in enumerate(frames):
        height, width = frame.size
        masks = "".join(_cvat_mask(object_id, mask) for object_id, mask in frame.masks.items())
        name = quoteattr(f"{frame.video}/{frame.stem}.png")
        images.append(f'<image id="{number}" name={name} width="{width}" height="{height}">{masks}</image>')
    (folder / "annotations.xml").write_text(f"<annotations><version>1.1</version>{''.join(images)}</annotations>")


def _cvat_mask(object_id: int, mask: np.ndarray) -> str:
    *runs, left, top, right, bottom = (int(value) for value in cvat_sdk.masks.encode_mask(mask))
    place = f'left="{left}" top="{top}" width="{right - left + 1}" height="{bottom - top + 1}"'
    track = f'<attribute name="track_id">{object_id}</attribute>'
    return f'<mask label="{CLASSES[class_of(object_id)]}" rle="{", ".join(map(str, runs))}" {place}>{track}</mask>'


if __name__ == "__main__":
    writers = (
        datumaro_coco,
        datumaro_cvat,
        datumaro_tracks,
        datumaro_yolo,
        datumaro_ultralytics,
        supervision_yolo,
        supervision_coco,
        supervision_labelme,
        cvat_masks,
    )
    main({writer.__name__: writer for writer in writers})
