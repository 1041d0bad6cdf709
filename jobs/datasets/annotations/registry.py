"""All layouts of annotation tools: to add one, write its file and put it here."""

from collections.abc import Callable, Mapping

from jobs.datasets.annotations import coco, cvat, label_studio, labelme, sa_v, yolo, youtube_vis
from jobs.datasets.annotations.annotated import Dataset

READERS: Mapping[str, Callable[[str], Dataset]] = {
    "coco": coco.read,
    "youtube-vis": youtube_vis.read,
    "yolo": yolo.read,
    "cvat": cvat.read,
    "label-studio": label_studio.read,
    "labelme": labelme.read,
    "sa-v": sa_v.read,
}
"""By name: what reads the dataset at a path or URL. Raises InvalidInput, StoreUnavailable."""
