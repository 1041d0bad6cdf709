"""PNG files of labels, as tools write them, and pictures that ask for more memory than there is."""

import io
import struct
import zlib

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

IDS = np.array([[0, 1, 1, 0], [0, 3, 3, 0], [7, 7, 0, 0]])


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def grey(labels: NDArray[np.integer]) -> bytes:
    return saved(Image.fromarray(labels.astype(np.uint8 if labels.max() < 256 else np.uint16)))


def palette(labels: NDArray[np.integer], bits: int = 8) -> bytes:
    image = Image.fromarray(labels.astype(np.uint8), "L").convert("P")
    image.putpalette([value for index in range(2**bits) for value in (255 - index, index, 90)])
    image.putdata(labels.ravel().tolist())
    return saved(image, bits=bits)


def png_of_few_bits(labels: NDArray[np.integer], bits: int) -> bytes:
    """A grey PNG of 1, 2 or 4 bits, which Pillow reads but writes only at 1."""
    height, width = labels.shape
    packed = bytearray()
    for row in labels.tolist():
        text = "".join(f"{value:0{bits}b}" for value in row)
        text += "0" * (-len(text) % 8)
        packed += b"\0" + bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(packed))) + chunk(b"IEND", b"")


def disc(value: int, radius: int = 40) -> NDArray[np.uint8]:
    picture = np.zeros((120, 160), np.uint8)
    cv2.circle(picture, (80, 60), radius, value, -1)
    return picture


def bomb(kind: str, height: int, width: int) -> bytes:
    """A PNG or JPEG of few bytes whose header says so."""
    data = bytearray(saved(Image.new("L", (64, 64), 1), kind))
    if kind == "PNG":
        data[16:24] = struct.pack(">II", width, height)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    else:
        start = data.index(b"\xff\xc0")
        data[start + 5 : start + 9] = struct.pack(">HH", height, width)
    return bytes(data)
