"""All formats: to add one, write its file and put it here."""

from difflib import get_close_matches

from jobs.exports.format import Format
from jobs.exports.formats.coco import COCO, COCO_POLYGONS
from jobs.exports.formats.cutouts import CUTOUTS
from jobs.exports.formats.cvat import CVAT
from jobs.exports.formats.davis import DAVIS
from jobs.exports.formats.hf import HF
from jobs.exports.formats.label_studio import LABEL_STUDIO
from jobs.exports.formats.mots import MOTS
from jobs.exports.formats.overlay import OVERLAY
from jobs.exports.formats.rrd import RRD
from jobs.exports.formats.sa_v import SA_V
from jobs.exports.formats.yolo_seg import YOLO_SEG
from jobs.exports.formats.youtube_vis import YOUTUBE_VIS
from jobs.exports.formats.youtube_vos import YOUTUBE_VOS
from pipeline.errors import InvalidInput

FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        DAVIS,
        YOUTUBE_VOS,
        COCO,
        COCO_POLYGONS,
        YOUTUBE_VIS,
        MOTS,
        YOLO_SEG,
        SA_V,
        CVAT,
        LABEL_STUDIO,
        HF,
        OVERLAY,
        CUTOUTS,
        RRD,
    )
}


def find(name: str) -> Format:
    """The format of a name. Raises InvalidInput that lists all."""
    if name not in FORMATS:
        near = get_close_matches(name, FORMATS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InvalidInput(f"unknown format {name!r}; {hint}the formats are {', '.join(FORMATS)}")
    return FORMATS[name]
