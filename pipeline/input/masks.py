"""Label PNGs as label maps; what cannot be a label map is refused with the reason.

Legend: H, W size of a mask in pixels.
"""

import io
import zlib

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngImageFile

from model.result import VOID, Labels
from pipeline.errors import InvalidPrompt
from pipeline.input.frames import MAX_PIXELS
from pipeline.input.pictures import BROKEN, JPEG, PNG

_DEPTH_AT, _COLOUR_AT = 24, 25
_STRETCH = {(0, 2): 85, (0, 4): 17}
"""By (colour type, bits): Pillow stretches narrow grey samples to 0..255, but neither 1 bit nor palette indices."""
_UNREADABLE_COLOURS = {2: "RGB", 4: "grey with an alpha channel", 6: "RGBA"}

_FEWEST_STEPS, _STEP_SHARE = 3, 0.9
_FEWEST_DUST, _DUST_SHARE, _DUST_PIXELS = 8, 0.5, 4
_AROUND = np.ones((3, 3), np.uint8)
_NEIGHBOURS = [(y, x) for y in range(3) for x in range(3) if (y, x) != (1, 1)]


def read_mask(data: bytes, name: str, *, binary_masks: bool = False, size: tuple[int, int] | None = None) -> Labels:
    """The labels [H, W] in a PNG: palette index or grey value = object id, 0 background, 255 void.

    What counts is the stored sample, 1 to 16 bits wide, so a 1-bit mask holds 0 and 1. With `binary_masks`
    (DAVIS-2016) 255 is object 1 and other values are refused. `size`: [H, W] of the video; a mask of another one is
    refused before it is decoded, and so is one of more than `MAX_PIXELS` where there is no video. `name` starts
    every message.
    Raises InvalidPrompt.
    """
    depth, labels = _decode(data, name, size)
    if binary_masks:
        return _from_binary(labels, depth, name)
    if _is_binary(labels):
        raise InvalidPrompt(
            f"{name}: holds only 0 and 255, and 255 means void; "
            "if 255 marks the object (DAVIS-2016), add --binary-masks"
        )
    if _is_smoothed(labels):
        raise InvalidPrompt(
            f"{name}: most of its {len(ids_in(labels))} values occur only as steps between other values "
            "or as single pixels: an anti-aliased or lossily compressed mask; save it without smoothing, "
            "one value an object, and resize it with nearest"
        )
    return labels


def ids_in(labels: Labels) -> tuple[int, ...]:
    """The object ids that have a pixel in labels [H, W], ascending: neither background nor void."""
    values = np.flatnonzero(_pixels_by_value(labels))
    return tuple(int(value) for value in values if value not in (0, VOID))


def _pixels_by_value(values: Labels) -> NDArray[np.intp]:
    """[largest + 1]; counted by runs of one value, of which a mask has few."""
    flat = values.ravel()
    start = np.flatnonzero(np.append(True, flat[1:] != flat[:-1])[: flat.size])
    length = np.diff(start, append=flat.size)
    return np.bincount(flat[start], length).astype(np.intp)


def _decode(data: bytes, name: str, size: tuple[int, int] | None) -> tuple[int, Labels]:
    """Bits of a sample, and the samples."""
    if not data.startswith(PNG):
        kind = "a JPEG, whose compression changes ids" if data.startswith(JPEG) else "not a PNG"
        raise InvalidPrompt(f"{name}: is {kind}; save the mask as a palette or grey PNG")
    try:
        with PngImageFile(io.BytesIO(data)) as image:
            _check_size((image.height, image.width), size, name)
            samples: Labels = np.asarray(image).astype(np.int32)
    except (*BROKEN, zlib.error) as error:
        raise InvalidPrompt(f"{name}: is a broken PNG ({error}); export or copy it again") from error
    depth, colour = data[_DEPTH_AT], data[_COLOUR_AT]
    if colour in _UNREADABLE_COLOURS:
        raise InvalidPrompt(
            f"{name}: is {_UNREADABLE_COLOURS[colour]}, and colours are not object ids; save it as a palette "
            "or grey PNG, one value an object, 0 for the background"
        )
    np.floor_divide(samples, _STRETCH.get((colour, depth), 1), out=samples)
    return depth, samples


def _check_size(found: tuple[int, int], size: tuple[int, int] | None, name: str) -> None:
    """By the header: a few bytes may ask for gigabytes."""
    if size and found != size:
        raise InvalidPrompt(
            f"{name}: is {_pixels(found)}, the video {_pixels(size)} (width x height, after its "
            "rotation); make the mask in the video's size"
        )
    if not size and found[0] * found[1] > MAX_PIXELS:
        raise InvalidPrompt(f"{name}: is {_pixels(found)}, more than the {MAX_PIXELS} pixels that a mask may have")


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]}"


def _from_binary(labels: Labels, depth: int, name: str) -> Labels:
    # A tool that shrinks PNGs stores 0 and 255 as one bit.
    foreground = 1 if depth == 1 else 255
    others = [value for value in np.unique(labels).tolist() if value not in (0, foreground)]
    if others:
        raise InvalidPrompt(
            f"{name}: holds {_listed(others)} besides 0 and 255, so it is no binary mask; "
            "leave out --binary-masks if these are object ids, else threshold the mask"
        )
    binary: Labels = (labels == foreground).astype(np.int32)
    return binary


def _listed(values: list[int]) -> str:
    shown = ", ".join(map(str, values[:5]))
    return shown if len(values) <= 5 else f"{shown}, ... ({len(values)} values)"


def _is_binary(labels: Labels) -> bool:
    return bool((labels == VOID).any()) and not ids_in(labels)


def _is_smoothed(labels: Labels) -> bool:
    """Whether most ids are by-products of smoothing or of lossy compression instead of drawn objects.

    Smoothing puts steps between two values: pixels strictly between a lower and a higher neighbour. A drawn
    object has an inside, or nothing higher beside it, so even a crowd of tiny objects is not made of steps.
    Compression leaves dust: ids of several pixels that mostly touch no pixel of the same id.
    """
    ids = np.array(ids_in(labels))
    if ids.size < _FEWEST_STEPS:
        return False
    labels = labels.astype(np.uint16)  # samples have no more bits, and there is less to move
    pixels = _pixels_by_id(labels, ids)
    if _are_most(_pixels_by_id(labels[_steps(labels)], ids) >= _STEP_SHARE * pixels, _FEWEST_STEPS):
        return True
    if ids.size < _FEWEST_DUST:
        return False
    dust = _pixels_by_id(labels[_lonely(labels)], ids) >= _DUST_SHARE * pixels
    return _are_most(dust & (pixels >= _DUST_PIXELS), _FEWEST_DUST)


def _pixels_by_id(values: Labels, ids: NDArray[np.intp]) -> NDArray[np.intp]:
    found = _pixels_by_value(values)
    return np.append(found, np.zeros(max(0, ids[-1] + 1 - found.size), np.intp))[ids]


def _are_most(ids: NDArray[np.bool_], fewest: int) -> bool:
    number = np.count_nonzero(ids)
    return bool(number >= fewest and 2 * number >= ids.size)


def _steps(labels: Labels) -> NDArray[np.bool_]:
    """Pixels with a lower and a higher one among their eight neighbours."""
    lowest, highest = (extreme(labels, _AROUND) for extreme in (cv2.erode, cv2.dilate))
    steps: NDArray[np.bool_] = (lowest < labels) & (labels < highest)
    return steps


def _lonely(labels: Labels) -> NDArray[np.bool_]:
    """Pixels inside the picture whose eight neighbours all have other values."""
    height, width = labels.shape
    lonely = np.zeros(labels.shape, bool)
    lonely[1:-1, 1:-1] = True
    inside = lonely[1:-1, 1:-1]
    for y, x in _NEIGHBOURS:
        inside &= labels[1:-1, 1:-1] != labels[y : height - 2 + y, x : width - 2 + x]
    return lonely
