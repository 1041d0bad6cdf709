"""Exports as datumaro, cvat-sdk, TrackEval, supervision and pycocotools read them."""

import json
from pathlib import Path
from xml.etree import ElementTree

import cvat_sdk.masks
import numpy as np
import supervision
import trackeval
from datumaro.components.annotation import AnnotationType
from datumaro.components.dataset import Dataset
from found import Found, main
from pycocotools import mask as coco


def datumaro_coco(folder: Path) -> Found:
    return _datumaro(folder, "coco_instances")


def datumaro_cvat(folder: Path) -> Found:
    return _datumaro(folder, "cvat")


def datumaro_mots(folder: Path) -> Found:
    return _datumaro(folder, "mots")


def _datumaro(folder: Path, layout: str) -> Found:
    for item in Dataset.import_from(str(folder), layout):
        video, _, frame = item.id.rpartition("/")
        for annotation in item.annotations:
            if annotation.type is AnnotationType.mask:  # COCO's boxes come on their own
                yield video, frame, int(annotation.attributes["track_id"]), annotation.image


def cvat_masks(folder: Path) -> Found:
    """cvat-sdk has no reader of files, but the code that decodes what its server holds."""
    for image in ElementTree.parse(folder / "annotations.xml").getroot().iter("image"):
        video, _, picture = image.attrib["name"].rpartition("/")
        for mask in image.iter("mask"):
            left, top, width, height = (int(mask.attrib[name]) for name in ("left", "top", "width", "height"))
            runs = [int(run) for run in mask.attrib["rle"].split(",")]
            points = [*runs, left, top, left + width - 1, top + height - 1]
            size = {"image_width": int(image.attrib["width"]), "image_height": int(image.attrib["height"])}
            pixels = cvat_sdk.masks.decode_mask(points, **size)
            # What the server would have made of these pixels is what the file says.
            assert cvat_sdk.masks.encode_mask(pixels) == points
            yield video, Path(picture).stem, int(mask.attrib["group_id"]), pixels


def trackeval_mots(folder: Path) -> Found:
    names = sorted(path.stem for path in (folder / "instances_txt").glob("*.txt"))
    lengths = {name: len(list((folder / "instances" / name).iterdir())) for name in names}
    (folder / "trackers/us").mkdir(parents=True)
    (folder / "trackers/us/data").symlink_to(folder / "instances_txt")
    reader = trackeval.datasets.KittiMOTS(
        {
            "GT_FOLDER": str(folder),
            "TRACKERS_FOLDER": str(folder / "trackers"),
            "GT_LOC_FORMAT": "{gt_folder}/instances_txt/{seq}.txt",
            "SEQ_INFO": lengths,
            "PRINT_CONFIG": False,
        }
    )
    for name in names:
        raw = reader.get_raw_seq_data("us", name)
        for kind in ("car", "pedestrian"):
            _assert_perfect(reader.get_preprocessed_seq_data(raw, kind))
        for place, (ids, masks) in enumerate(zip(raw["gt_ids"], raw["gt_dets"], strict=True)):
            for number, mask in zip(ids, masks, strict=True):
                yield name, f"{place:06d}", number % 1000, coco.decode(mask)


def trackeval_youtube_vis(folder: Path) -> Found:
    content = json.loads((folder / "instances.json").read_text())
    for name in ("gt", "trackers"):
        (folder / f"{name}/youtube_vis_all").mkdir(parents=True)
    (folder / "trackers/youtube_vis_all/us/data").mkdir(parents=True)
    # What it takes from trackers is the list of annotations; of the truth it asks for counts as numbers.
    (folder / "trackers/youtube_vis_all/us/data/us.json").write_text(json.dumps(content["annotations"]))
    truth = [
        track | {"segmentations": [mask and _plain(mask) for mask in track["segmentations"]]}
        for track in content["annotations"]
    ]
    (folder / "gt/youtube_vis_all/gt.json").write_text(json.dumps(content | {"annotations": truth}))
    reader = trackeval.datasets.YouTubeVIS(
        {
            "GT_FOLDER": f"{folder}/gt/",
            "TRACKERS_FOLDER": f"{folder}/trackers/",
            "SPLIT_TO_EVAL": "all",
            "PRINT_CONFIG": False,
        }
    )
    # It counts tracks anew, as they come.
    objects = [track["object_id"] for track in content["annotations"]]
    for video in content["videos"]:
        name = video["file_names"][0].split("/")[0]
        raw = reader.get_raw_seq_data("us", name)
        for kind in content["categories"]:
            _assert_perfect(reader.get_preprocessed_seq_data(raw, kind["name"]))
        for place, (ids, masks) in enumerate(zip(raw["tracker_ids"], raw["tracker_dets"], strict=True)):
            for number, mask in zip(ids, masks, strict=True):
                yield name, Path(video["file_names"][place]).stem, objects[number], coco.decode(mask)


def _plain(mask: dict[str, object]) -> dict[str, object]:
    flat = coco.decode(mask).ravel(order="F")
    changes = np.flatnonzero(np.diff(flat, prepend=0))
    return {"size": mask["size"], "counts": np.diff(changes, prepend=0, append=len(flat)).tolist()}


def _assert_perfect(data: dict[str, object]) -> None:
    """An export that is compared with itself."""
    if data["num_gt_dets"]:
        assert (trackeval.metrics.HOTA().eval_sequence(data)["HOTA"] == 1).all()


def supervision_yolo(folder: Path) -> Found:
    for video in sorted(path for path in (folder / "labels").iterdir()):
        dataset = supervision.DetectionDataset.from_yolo(
            images_directory_path=str(folder / "images" / video.name),
            annotations_directory_path=str(video),
            data_yaml_path=str(folder / "data.yaml"),
            force_masks=True,
        )
        for path, image, found in dataset:
            assert found.mask is None or found.mask.shape[1:] == image.shape[:2]
            for number, mask in enumerate(found.mask if found.mask is not None else ()):
                # Lines have no ids: they are in the order of the objects.
                yield video.name, Path(path).stem, number, mask


if __name__ == "__main__":
    readers = (
        datumaro_coco,
        datumaro_cvat,
        datumaro_mots,
        cvat_masks,
        trackeval_mots,
        trackeval_youtube_vis,
        supervision_yolo,
    )
    main({reader.__name__: reader for reader in readers})
