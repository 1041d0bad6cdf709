"""CVAT for images 1.1: `annotations.xml`, an image a frame and a mask an object-frame.

Of tracks CVAT reads the first mask alone, so an object's masks are tied by `group_id` and the attribute `track_id`.
"""

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from jobs.exports.format import Corpus, Format
from jobs.exports.losses import Loss
from jobs.exports.numbers import rounded
from jobs.exports.parts import Parts
from jobs.exports.runs import row_runs
from jobs.exports.sink import Sink
from jobs.exports.video import ExportedFrame, ExportedVideo, ObjectFrame

_ATTRIBUTES = ("track_id", "score", "uncertainty")
_IMAGES = "images"


def _write(video: ExportedVideo, frames: Iterator[ExportedFrame], sink: Sink) -> None:
    images = sink.part(_IMAGES)
    height, width = video.size
    for frame in frames:
        # CVAT counts images from 0.
        head = f'<image id="{video.image_id(frame) - 1}" name={quoteattr(f"{video.name}/{frame.picture}")}'
        masks = "".join(_mask(video, found) for found in frame.objects)
        images.add(f'{head} width="{width}" height="{height}">\n{masks}</image>\n', between="")


def _mask(video: ExportedVideo, found: ObjectFrame) -> str:
    x, y, w, h = found.box
    runs = ", ".join(map(str, row_runs(found.mask()[y : y + h, x : x + w]).tolist()))
    values = (found.object_id, rounded(found.score), rounded(found.uncertainty))
    attributes = "".join(
        f'<attribute name="{name}">{value}</attribute>'
        for name, value in zip(_ATTRIBUTES, values, strict=True)
        if value is not None
    )
    return (
        f'<mask label={quoteattr(video.class_of(found.object_id))} source="auto" occluded="0" z_order="0" '
        f'group_id="{found.object_id}" left="{x}" top="{y}" width="{w}" height="{h}" rle="{runs}">'
        f"{attributes}</mask>\n"
    )


def _label(name: str) -> str:
    attributes = "".join(
        f"<attribute><name>{attribute}</name><mutable>False</mutable><input_type>text</input_type>"
        "<default_value></default_value><values></values></attribute>"
        for attribute in _ATTRIBUTES
    )
    return f"<label><name>{escape(name)}</name><type>mask</type><attributes>{attributes}</attributes></label>\n"


def _finish(corpus: Corpus, parts: Parts) -> None:
    labels = "".join(_label(name) for name in corpus.categories)
    with parts.file("annotations.xml") as file:
        head = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
        file.write(f"{head}<meta><task><labels>\n{labels}</labels></task></meta>\n".encode())
        parts.copy(_IMAGES, file, between=b"")
        file.write(b"</annotations>\n")


CVAT = Format(
    name="cvat",
    lacks={Loss.ABSENT: "no mask says so", Loss.TIME: "in the tables alone"},
    write=_write,
    finish=_finish,
    pictures="images",
)
