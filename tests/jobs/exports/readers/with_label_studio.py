"""Exports as Label Studio's own converter reads them."""

import json
from pathlib import Path

from found import Found, main
from label_studio_sdk.converter.brush import decode_rle, encode_rle
from label_studio_sdk.label_interface import LabelInterface


def label_studio(folder: Path) -> Found:
    interface = LabelInterface((folder / "labels.xml").read_text())
    for task in json.loads((folder / "tasks.json").read_text()):
        (prediction,) = task["predictions"]
        assert interface.validate_prediction(prediction), prediction["score"]
        for region in prediction["result"]:
            runs = region["value"]["rle"]
            values = decode_rle(runs)
            assert (decode_rle(encode_rle(values)) == values).all()
            pixels = values.reshape(region["original_height"], region["original_width"], 4)
            yield (
                task["data"]["video_id"],
                str(task["data"]["frame_index"]),
                region["meta"]["object_id"],
                pixels[..., 3] == 255,
            )


if __name__ == "__main__":
    main({"label_studio": label_studio})
