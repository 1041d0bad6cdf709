"""Smooth motion for pictures that stand still: affine paths, elastic warps, light and camera.

Legend: T frames, H, W picture, S side of the square crop.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.pictures.decode import decode_picture
from jobs.pictures.encode import encode_jpeg
from jobs.pictures.label_maps import LabelMap
from pipeline.input.frames import Rgb

Field = NDArray[np.float32]
"""[S, S, 2]: how far each pixel of a crop is displaced, (x, y) in pixels."""
Generator = np.random.Generator
_SWING = 12.0
"""Frames in which a wandering curve turns by one radian."""
_NEARER, _NARROWER = 2.0, 1.6
"""Most that size and width change from the first frame to the last, as factors, at speed 1 or more."""


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Where a picture stands in a crop: its `anchor` (x, y) comes to `centre`, scaled and turned."""

    anchor: tuple[float, float]
    centre: tuple[float, float]
    scale: float
    angle: float
    """Radians."""
    mirrored: bool = False
    squeeze: float = 1.0
    """Factor on the picture's width: what turns away from the camera is foreshortened."""

    def matrix(self) -> NDArray[np.float64]:
        """[2, 3] from picture to crop pixels."""
        cos, sin = self.scale * math.cos(self.angle), self.scale * math.sin(self.angle)
        across = -self.squeeze if self.mirrored else self.squeeze
        linear = np.array([[cos * across, -sin], [sin * across, cos]])
        shift = np.array(self.centre) - linear @ np.array(self.anchor)
        return np.column_stack([linear, shift])


def wander(rng: Generator, frames: int, per_frame: float) -> NDArray[np.float64]:
    """[T]: a smooth curve from 0 that moves up to `per_frame` a frame and never goes far, however many frames."""
    phase = rng.uniform(-math.pi / 3, math.pi / 3)
    return per_frame * _SWING * (np.sin(np.arange(frames) / _SWING + phase) - math.sin(phase))


def path(rng: Generator, start: Pose, frames: int, *, speed: float) -> list[Pose]:
    """A pose a frame that wanders from `start`; `speed` is roughly the drift in pixels a frame."""
    x, y = (start.centre[axis] + wander(rng, frames, rng.normal(0, speed)) for axis in (0, 1))
    grow = wander(rng, frames, rng.normal(0, 0.02 * min(1.5, speed / 8)))
    turn = wander(rng, frames, rng.normal(0, 0.03 * min(2.0, speed / 8)))
    return [
        replace(
            start,
            centre=(float(x[t]), float(y[t])),
            scale=start.scale * math.exp(grow[t]),
            angle=start.angle + float(turn[t]),
        )
        for t in range(frames)
    ]


def approach(rng: Generator, poses: Sequence[Pose], speed: float) -> list[Pose]:
    """The same path of what comes nearer or goes away, and turns to the camera or from it, all the way to the end."""
    most = np.log([_NEARER, _NARROWER]) * min(1.0, speed)
    grow, widen = (np.outer(np.linspace(0, 1, len(poses)), rng.uniform(-most, most))).T.tolist()
    return [
        replace(pose, scale=pose.scale * math.exp(grow[t]), squeeze=pose.squeeze * math.exp(widen[t]))
        for t, pose in enumerate(poses)
    ]


def leave_and_return(rng: Generator, poses: Sequence[Pose], distance: float) -> list[Pose]:
    """The same path, but for some frames in the middle off by `distance` pixels in one direction."""
    frames = len(poses)
    slope = max(1, frames // 10)
    gone = int(rng.integers(slope, frames)) if slope < frames else frames
    back = int(rng.integers(gone, frames)) + slope if gone < frames else frames + slope
    ways = np.interp(np.arange(frames), [gone - slope, gone, back - slope, back], [0, 1, 1, 0]) * distance
    return _shifted(rng, poses, ways)


def come_in(rng: Generator, poses: Sequence[Pose], distance: float) -> list[Pose]:
    """The same path, but from `distance` pixels off in one direction in the first frame, at once or in some frames."""
    frames = len(poses)
    there = int(rng.integers(1, max(2, frames)))
    slope = int(rng.integers(1, there + 1))
    return _shifted(rng, poses, np.interp(np.arange(frames), [there - slope, there], [distance, 0]))


def _shifted(rng: Generator, poses: Sequence[Pose], ways: NDArray[np.float64]) -> list[Pose]:
    """Each pose moved by its way [T], in pixels, all in one direction."""
    direction = rng.uniform(0, 2 * math.pi)
    dx, dy = math.cos(direction), math.sin(direction)
    return [
        replace(pose, centre=(pose.centre[0] + dx * way, pose.centre[1] + dy * way))
        for pose, way in zip(poses, ways.tolist(), strict=True)
    ]


def elastic(rng: Generator, side: int, strength: float) -> Field:
    """A smooth displacement field [S, S, 2] in pixels."""
    coarse = rng.normal(0, strength, (4, 4, 2)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), np.float32)


def bends(rng: Generator, frames: int, side: int, bend: float, speed: float) -> list[Field | None]:
    """How a thing's shape differs in each frame: fields of `bend` pixels at speed 1; None for no displacement."""
    if not bend:
        return [None] * frames
    field = elastic(rng, side, bend * min(2.0, speed))
    return [field * np.float32(amount) for amount in wander(rng, frames, 1.0)]


def place(
    picture: Rgb,
    labels: LabelMap,
    pose: Pose,
    side: int,
    field: Field | None = None,
    *,
    mirrored_labels: bool = True,
) -> tuple[Rgb, LabelMap]:
    """The crop [S, S] that sees a picture and its labels in a pose.

    Beyond the border the picture is mirrored, and so are its labels if `mirrored_labels`; else they are 0 there.
    """
    inverse = cv2.invertAffineTransform(pose.matrix())
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).astype(np.float32)
    if field is not None:
        grid = grid + field
    at = (grid @ inverse[:, :2].T + inverse[:, 2]).astype(np.float32)
    beyond = cv2.BORDER_REFLECT_101 if mirrored_labels else cv2.BORDER_CONSTANT
    return _sample(picture, at, cv2.INTER_LINEAR), _sample(labels, at, cv2.INTER_NEAREST, beyond)


def _sample(
    values: NDArray[np.uint8], at: NDArray[np.float32], how: int, beyond: int = cv2.BORDER_REFLECT_101
) -> NDArray[np.uint8]:
    # Both coordinates are in the first map; an empty array for the second makes OpenCV 5 hang.
    sampled = cv2.remap(values, at, None, how, borderMode=beyond)  # type: ignore[call-overload]
    return np.asarray(sampled, np.uint8)


def camera(rng: Generator, frames: Sequence[Rgb]) -> list[Rgb]:
    """What a camera adds: exposure and colour, at times blur, noise and compression."""
    gain, lift = rng.uniform(0.88, 1.12, 3) * rng.uniform(0.75, 1.25), rng.uniform(-18, 18)
    flicker = np.clip(1 + wander(rng, len(frames), rng.normal(0, 0.03)), 0.6, 1.4)
    blur = rng.random() < 0.15
    noise = rng.uniform(2, 8) if rng.random() < 0.2 else 0.0
    quality = int(rng.integers(25, 80)) if rng.random() < 0.2 else None
    kernel = _motion_kernel(rng) if blur else None
    seen = []
    for t, frame in enumerate(frames):
        picture: NDArray[Any] = frame.astype(np.float32) * (gain * flicker[t]).astype(np.float32) + lift
        if kernel is not None:
            picture = cv2.filter2D(picture, -1, kernel)
        if noise:
            picture = picture + rng.normal(0, noise, picture.shape).astype(np.float32)
        shown = np.clip(picture, 0, 255).astype(np.uint8)
        seen.append(_compressed(shown, quality) if quality else shown)
    return seen


def _motion_kernel(rng: Generator) -> NDArray[np.float32]:
    length = int(rng.integers(3, 8)) | 1
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1
    turn = cv2.getRotationMatrix2D((length // 2, length // 2), float(rng.uniform(0, 180)), 1)
    kernel = np.asarray(cv2.warpAffine(kernel, turn, (length, length)), np.float32)
    return kernel / max(1e-6, float(kernel.sum()))


def _compressed(picture: Rgb, quality: int) -> Rgb:
    return decode_picture(encode_jpeg(picture, quality=quality), "a frame that was just encoded")
