"""Annotations as Label Studio's own converter writes them."""

import json
from pathlib import Path

import numpy as np
from label_studio_sdk.converter.brush import mask2rle
from scene import CLASSES, Frame, class_of, main, write_pictures


def label_studio(frames: list[Frame], folder: Path) -> None:
    write_pictures(folder / "images", frames)
    tasks = [
        {
            "id": number,
            "data": {"image": f"/data/local-files/?d=project/{frame.video}/{frame.stem}.png"},
            "annotations": [{"result": [_region(object_id, mask) for object_id, mask in frame.masks.items()]}],
        }
        for number, frame in enumerate(frames, 1)
    ]
    (folder / "tasks.json").write_text(json.dumps(tasks))


def _region(object_id: int, mask: np.ndarray) -> dict[str, object]:
    height, width = mask.shape
    return {
        "id": f"r{object_id}",
        "type": "brushlabels",
        "original_width": width,
        "original_height": height,
        "value": {
            "format": "rle",
            "rle": mask2rle(255 * mask.astype(np.uint8)),
            "brushlabels": [CLASSES[class_of(object_id)]],
        },
        "meta": {"object_id": object_id},
    }


if __name__ == "__main__":
    main({"label_studio": label_studio})
