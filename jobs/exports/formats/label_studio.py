"""Label Studio: `tasks.json`, a task a frame with brush masks as a prediction, and `labels.xml`, the labelling set-up.

A prediction's score is 1 - the largest uncertainty of its objects, so that the queue can begin with what is doubtful.
"""

import json
from collections.abc import Iterator
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from jobs.exports.format import Corpus, Format
from jobs.exports.losses import Loss
from jobs.exports.numbers import rounded
from jobs.exports.parts import Parts
from jobs.exports.runs import row_runs
from jobs.exports.sink import Sink
from jobs.exports.video import ExportedFrame, ExportedVideo, ObjectFrame
from jobs.pictures.colours import object_colour
from pipeline.version import code_version

_TASKS = "tasks"
_CHANNELS = 4
_WORD_BITS = 8
_LENGTH_BITS = np.array([3, 4, 8, 16])
"""A run's length is written in one of these many bits."""
_LONGEST = 1 << 16
_MOST_BITS = 3 + 16 + _WORD_BITS


def _write(video: ExportedVideo, frames: Iterator[ExportedFrame], sink: Sink) -> None:
    for frame in frames:
        sink.part(_TASKS).add(json.dumps(_task(video, frame), ensure_ascii=False))


def _task(video: ExportedVideo, frame: ExportedFrame) -> dict[str, object]:
    known = [found.uncertainty for found in frame.objects if found.uncertainty is not None]
    prediction = {
        "model_version": f"vos-batch {code_version()}",
        "score": rounded(1 - max(known)) if known else None,
        "result": [_region(video, found) for found in frame.objects],
    }
    data = {
        "image": f"{video.name}/{frame.picture}",
        "video_id": video.video_id,
        "frame_index": frame.index,
        "timestamp_us": frame.timestamp_us,
    }
    return {"id": video.image_id(frame), "data": data, "predictions": [prediction]}


def _region(video: ExportedVideo, found: ObjectFrame) -> dict[str, object]:
    height, width = found.size
    runs = brush_runs(found.mask())
    return {
        "id": f"{video.number}-{found.object_id}",
        "type": "brushlabels",
        "from_name": "label",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {"format": "rle", "rle": runs.tolist(), "brushlabels": [video.class_of(found.object_id)]},
        "score": rounded(found.score),
        "meta": {"object_id": found.object_id, "uncertainty": rounded(found.uncertainty)},
    }


def brush_runs(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Label Studio's own encoding of a mask [H, W]: runs of bytes over the channels of a picture of 0 and 255, in bits.

    32 bits for the number of bytes, 5 for the bits of one less 1, 4 times 4 for the bits of a length less 1; then for
    each run 1, two bits that choose how many bits its length has, the length less 1, and the byte.
    """
    lengths, values = _pieces(_CHANNELS * row_runs(mask))
    chosen = np.searchsorted(1 << _LENGTH_BITS, lengths)
    bits = _LENGTH_BITS[chosen]
    codes = ((((0b100 | chosen) << bits) | (lengths - 1)) << _WORD_BITS) | values
    header = np.concatenate(
        [_bits(_CHANNELS * mask.size, 32), _bits(_WORD_BITS - 1, 5), *(_bits(int(n) - 1, 4) for n in _LENGTH_BITS)]
    )
    used = 3 + bits + _WORD_BITS
    places = np.arange(_MOST_BITS)
    all_bits = (codes[:, None] >> np.maximum(used[:, None] - 1 - places, 0)) & 1
    return np.packbits(np.concatenate([header, all_bits[places < used[:, None]].astype(np.uint8)]))


def _pieces(runs: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lengths of at least 1 and at most 65,536, and the byte of each."""
    pieces = -(-runs // _LONGEST)
    last = np.cumsum(pieces)[pieces > 0] - 1
    lengths = np.full(int(pieces.sum()), _LONGEST)
    lengths[last] = (runs - (pieces - 1) * _LONGEST)[pieces > 0]
    return lengths, np.repeat(255 * (np.arange(len(runs)) % 2), pieces)


def _bits(value: int, width: int) -> NDArray[np.uint8]:
    return np.array([value >> place & 1 for place in reversed(range(width))], np.uint8)


def _finish(corpus: Corpus, parts: Parts) -> None:
    with parts.file("tasks.json") as file:
        file.write(b"[\n")
        parts.copy(_TASKS, file)
        file.write(b"\n]\n")
    labels = "".join(
        f'    <Label value={quoteattr(name)} background="rgb{object_colour(number)}"/>\n'
        for number, name in enumerate(corpus.categories, start=1)
    )
    brush = f'  <BrushLabels name="label" toName="image">\n{labels}  </BrushLabels>\n'
    parts.put("labels.xml", f'<View>\n  <Image name="image" value="$image"/>\n{brush}</View>\n'.encode())


LABEL_STUDIO = Format(
    name="label-studio",
    lacks={Loss.ABSENT: "no region says so"},
    write=_write,
    finish=_finish,
    pictures="images",
)
