"""What the header of a JPEG or PNG says, before anything is decoded: a few bytes may ask for gigabytes.

Legend: H, W size of a picture in pixels.
"""

import io
import struct

from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
"""How they begin."""
BROKEN = (OSError, SyntaxError, ValueError, LookupError, EOFError, struct.error)
"""What reading a damaged header can raise."""

_CHUNK_BYTES = 12
"""Of a chunk of a PNG besides its content: length, name, CRC."""
_BYTES_PER_PIXEL, _SPARE_BYTES = 8, 1 << 24


def size_of(data: bytes) -> tuple[int, int] | None:
    """(H, W) of a whole or cut JPEG or PNG; None for anything else."""
    # Not Image.open, which warns of large pictures and tries every format there is.
    kind = next((kind for mark, kind in _KINDS.items() if data.startswith(mark)), None)
    if kind is None:
        return None
    try:
        with kind(io.BytesIO(data)) as picture:
            return picture.height, picture.width
    except BROKEN:
        return None


def is_cut(data: bytes) -> bool:
    """Whether a PNG has a chunk that claims more bytes than there are: decoders ask for them before they look."""
    at = len(PNG)
    while data.startswith(PNG) and not data.startswith(b"IEND", at + 4):
        if at + _CHUNK_BYTES > len(data):
            return True
        at += _CHUNK_BYTES + int.from_bytes(data[at : at + 4], "big")
    return False


def most_bytes(num_pixels: int) -> int:
    """More than any JPEG or PNG of so many pixels has: uncompressed, 16 bits a channel, with room for metadata."""
    return _BYTES_PER_PIXEL * num_pixels + _SPARE_BYTES


_KINDS: dict[bytes, type[JpegImageFile | PngImageFile]] = {PNG: PngImageFile, JPEG: JpegImageFile}
