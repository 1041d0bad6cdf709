"""Video clips with exact masks, made from a seed: textured objects that move, turn and hide each other.

Legend: T frames, H, W frame size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model.clip import Clip
from model.textures import TEXTURE_REACH, TEXTURE_SIDE, Picture, cloud, colour, mix, texture

Affine = NDArray[np.float64]
"""[2, 3], maps (x, y, 1) of the source to (x, y) of the target."""

MIN_SIDE = 16
MAX_OBJECTS = 254
CANVAS_SCALE = 1.4
"""The background in frames, so that panning shows something new."""
CLUTTER = 24
PLACEMENTS = 20
PATH_CANDIDATES = 16
MIN_AREA = 4
VISIBLE_SHARE = 0.35
"""In frame 0 so many pixels, and so much of the disk of its radius, are seen of an object."""
OUTLINE_POINTS = 96
SUBPIXELS = 4
"""Sub-pixel rows and columns an outline is drawn on: a pixel is the object's from half of them on."""
FIXED_POINT_BITS = 8
NOISE_SIGMA = 2.5
SQUARES_GROUND = 96
"""The grey under `make_squares`."""


@dataclass(frozen=True, kw_only=True)
class _Wave:
    """A slow swing of one quantity around its mean."""

    mean: float
    amplitude: float
    period_frames: float
    phase: float

    def at(self, t: int) -> float:
        return self.mean + self.amplitude * math.sin(2 * math.pi * t / self.period_frames + self.phase)


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """A closed smooth outline in units of its radius: r(angle) is a sum of swinging harmonics."""

    sharpness: float
    aspect: float
    harmonics: Sequence[tuple[int, float, _Wave]]
    """(cycles around the outline, their phase, their amplitude over time)."""

    def outline(self, t: int) -> NDArray[np.float64]:
        """Points [OUTLINE_POINTS, 2] (x, y) at frame t."""
        angle = np.linspace(0, 2 * math.pi, OUTLINE_POINTS, endpoint=False)
        radius = np.ones_like(angle)
        for cycles, phase, amplitude in self.harmonics:
            radius += amplitude.at(t) * np.cos(cycles * angle + phase)
        x, y = _superellipse(angle, self.sharpness)
        return np.stack([radius * x * self.aspect, radius * y / self.aspect], axis=1)


@dataclass(frozen=True, kw_only=True)
class _Track:
    """Where an object is over time; lengths in pixels, angles in radians."""

    shape: _Shape
    x: _Wave
    y: _Wave
    radius: _Wave
    angle: _Wave

    def pose(self, t: int) -> Affine:
        """Maps the object's own coordinates (units of its radius) to the frame at t."""
        return _similarity(self.radius.at(t), self.angle.at(t), self.x.at(t), self.y.at(t))

    def outline(self, t: int) -> NDArray[np.float64]:
        """Points [OUTLINE_POINTS, 2] (x, y) in the frame at t."""
        return _apply(self.pose(t), self.shape.outline(t))


@dataclass(frozen=True, kw_only=True)
class _Object:
    object_id: int
    track: _Track
    texture: Picture


@dataclass(frozen=True, kw_only=True)
class _Camera:
    """The part of the background canvas that a frame shows."""

    x: _Wave
    y: _Wave
    zoom: _Wave
    angle: _Wave
    exposure: _Wave

    def view(self, canvas: Picture, t: int, height: int, width: int) -> Picture:
        turn = _similarity(self.zoom.at(t), self.angle.at(t), 0.0, 0.0)
        centre = np.array([canvas.shape[1] / 2 + self.x.at(t), canvas.shape[0] / 2 + self.y.at(t)])
        turn[:, 2] = np.array([width / 2, height / 2]) - turn[:, :2] @ centre
        return _warp(canvas, turn, height, width)


def make_clip(seed: int, *, num_frames: int, height: int, width: int, num_objects: int) -> Clip:
    """A clip of T = `num_frames` frames with objects 1..K = `num_objects`; the same bytes for a seed.

    Every object is in view in frame 0; later, objects may be hidden by nearer ones or cut by the frame.
    Labels are exact: a pixel is an object's where that covers at least half of it; the picture shows the
    blend. Raises ValueError for no frame, a side below 16 pixels, or objects that are too many to fit.
    """
    _check(num_frames, height, width, num_objects)
    rng = np.random.default_rng(seed)
    hue = float(rng.uniform(0, 360))
    canvas = _canvas(rng, hue, height, width)
    camera = _camera(rng, height, width)
    objects = _objects(rng, hue, height, width, num_objects)
    frames = np.empty((num_frames, height, width, 3), np.uint8)
    labels = np.zeros((num_frames, height, width), np.uint8)
    for t in range(num_frames):
        picture = camera.view(canvas, t, height, width)
        for thing in objects:
            _paint(picture, labels[t], thing, t)
        frames[t] = _expose(rng, picture, camera.exposure.at(t))
    return Clip(frames=frames, labels=labels)


def make_squares(seed: int, *, num_frames: int, height: int, width: int, num_objects: int) -> Clip:
    """Coloured squares 1..K = `num_objects` on a plain ground: alike but for their hue, they differ in their place.

    Each moves one pixel a frame up and down or from side to side in a part of the frame of its own, so that none
    meets another. Raises ValueError as `make_clip`.
    """
    _check(num_frames, height, width, num_objects)
    rng = np.random.default_rng(seed)
    columns = math.ceil(math.sqrt(num_objects * width / height))
    rows = math.ceil(num_objects / columns)
    cell = min(height // rows, width // columns)
    side = cell // 2
    reach = (cell - side) // 2
    if reach < 1:
        raise ValueError(f"{num_objects} squares do not fit into {height} x {width}: ask for fewer or a larger frame")
    cells = rng.permutation(rows * columns)[:num_objects]
    corners = np.stack([cells // columns * height // rows, cells % columns * width // columns], axis=1)
    axes, phases = rng.integers(2, size=num_objects), rng.integers(4 * reach, size=num_objects)
    paints = [colour(360 * index / num_objects, 0.8, 0.9) for index in range(num_objects)]
    frames = np.full((num_frames, height, width, 3), SQUARES_GROUND, np.uint8)
    labels = np.zeros((num_frames, height, width), np.uint8)
    for t in range(num_frames):
        # There and back, a pixel a frame.
        ways = np.abs((t + phases) % (4 * reach) - 2 * reach)
        tops, lefts = (corners + np.where(axes[:, None] == [0, 1], ways[:, None], reach)).T
        for object_id, (top, left, paint) in enumerate(zip(tops, lefts, paints, strict=True), 1):
            window = (t, slice(top, top + side), slice(left, left + side))
            frames[window], labels[window] = paint, object_id
    return Clip(frames=frames, labels=labels)


def _check(num_frames: int, height: int, width: int, num_objects: int) -> None:
    if num_frames < 1:
        raise ValueError(f"num_frames is {num_frames}: ask for at least 1")
    if min(height, width) < MIN_SIDE:
        raise ValueError(f"a frame of {height} x {width} is too small: make both sides at least {MIN_SIDE}")
    if not 1 <= num_objects <= MAX_OBJECTS:
        raise ValueError(f"num_objects is {num_objects}: ask for 1 to {MAX_OBJECTS}")


def _canvas(rng: np.random.Generator, hue: float, height: int, width: int) -> Picture:
    """A background larger than the frame: soft ground of two colours with blurred things standing on it."""
    rows, columns = round(height * CANVAS_SCALE), round(width * CANVAS_SCALE)
    ground = mix(
        cloud(rng, rows, columns, max(2, min(rows, columns) // 3)),
        colour(hue, rng.uniform(0.1, 0.35), rng.uniform(0.3, 0.5)),
        colour(hue + rng.uniform(-40, 40), rng.uniform(0.1, 0.4), rng.uniform(0.55, 0.85)),
    )
    for _ in range(CLUTTER):
        _add_clutter(rng, ground, hue)
    grain = cloud(rng, rows, columns, max(2, min(rows, columns) // 40))
    return cv2.GaussianBlur(ground, (0, 0), min(height, width) / 200) * (0.85 + 0.3 * grain[..., None])


def _add_clutter(rng: np.random.Generator, ground: Picture, hue: float) -> None:
    rows, columns = ground.shape[:2]
    size = min(rows, columns) * rng.uniform(0.04, 0.16)
    pose = _similarity(size, rng.uniform(0, math.pi), rng.uniform(0, columns), rng.uniform(0, rows))
    window, coverage = _coverage(_apply(pose, _shape(rng).outline(0)), rows, columns)
    paint = colour(hue + rng.uniform(-60, 60), rng.uniform(0.05, 0.35), rng.uniform(0.25, 0.8))
    _blend(ground[window], np.asarray(paint), 0.7 * coverage)


def _camera(rng: np.random.Generator, height: int, width: int) -> _Camera:
    return _Camera(
        x=_swing(rng, 0, 0.06 * width),
        y=_swing(rng, 0, 0.06 * height),
        zoom=_swing(rng, 1.05, 0.05),
        angle=_swing(rng, 0, 0.03),
        exposure=_swing(rng, 1, 0.07),
    )


def _objects(rng: np.random.Generator, hue: float, height: int, width: int, count: int) -> list[_Object]:
    """Objects in the order they are painted, farthest first."""
    tracks = _visible_tracks(rng, height, width, count)
    # Hues away from the background's and from each other, so that a person can follow the objects.
    hues = hue + 60 + 240 * (np.arange(count) + rng.uniform(0.2, 0.8, count)) / count
    return [
        _Object(object_id=int(object_id), track=track, texture=texture(rng, object_hue))
        for object_id, track, object_hue in zip(rng.permutation(count) + 1, tracks, hues, strict=True)
    ]


def _visible_tracks(rng: np.random.Generator, height: int, width: int, count: int) -> list[_Track]:
    for _ in range(PLACEMENTS):
        tracks = _tracks(rng, height, width, count)
        if _all_in_view(tracks, height, width):
            return tracks
    raise ValueError(f"{count} objects do not fit into {height} x {width}: ask for fewer or for a larger frame")


def _tracks(rng: np.random.Generator, height: int, width: int, count: int) -> list[_Track]:
    radius = 0.17 * min(height, width) * min(1.0, math.sqrt(3 / count))
    return [
        _Track(
            shape=_shape(rng),
            x=x,
            y=y,
            radius=_swing(rng, radius * rng.uniform(0.8, 1.3), 0.18 * radius),
            angle=_swing(rng, rng.uniform(0, 2 * math.pi), rng.uniform(0.4, 1.5)),
        )
        for x, y in _paths(rng, height, width, count)
    ]


def _paths(rng: np.random.Generator, height: int, width: int, count: int) -> list[tuple[_Wave, _Wave]]:
    """Paths (x, y) inside the frame, each the one of some that starts farthest from those before it."""
    paths: list[tuple[_Wave, _Wave]] = []
    starts: list[tuple[float, float]] = []
    for _ in range(count):
        drawn = [(_swing_inside(rng, width), _swing_inside(rng, height)) for _ in range(PATH_CANDIDATES)]
        begins = [(x.at(0), y.at(0)) for x, y in drawn]
        best = max(range(PATH_CANDIDATES), key=lambda i: _nearest(begins[i], starts))
        paths.append(drawn[best])
        starts.append(begins[best])
    return paths


def _nearest(point: tuple[float, float], others: Sequence[tuple[float, float]]) -> float:
    return min((math.dist(point, other) for other in others), default=0.0)


def _all_in_view(tracks: Sequence[_Track], height: int, width: int) -> bool:
    owner = np.full((height, width), -1)
    for index, track in enumerate(tracks):
        window, coverage = _coverage(track.outline(0), height, width)
        owner[window][coverage >= 0.5] = index
    seen = np.bincount(owner[owner >= 0], minlength=len(tracks))
    needed = [max(MIN_AREA, VISIBLE_SHARE * math.pi * track.radius.at(0) ** 2) for track in tracks]
    return bool((seen >= needed).all())


def _paint(picture: Picture, labels: NDArray[np.uint8], thing: _Object, t: int) -> None:
    """Puts one object over what is there already."""
    height, width = labels.shape
    window, coverage = _coverage(thing.track.outline(t), height, width)
    if not coverage.size:
        return
    _blend(picture[window], _textured(thing.texture, thing.track.pose(t), window), coverage)
    labels[window][coverage >= 0.5] = thing.object_id


def _blend(target: Picture, paint: NDArray[np.float32], coverage: NDArray[np.float32]) -> None:
    target += coverage[..., None] * (paint - target)


def _textured(texture: Picture, pose: Affine, window: tuple[slice, slice]) -> Picture:
    rows, columns = window
    scale = 2 * TEXTURE_REACH / TEXTURE_SIDE
    placed = pose.copy()
    # Texture pixel -> object's own coordinates -> frame -> window.
    placed[:, 2] += pose[:, :2] @ np.full(2, (0.5 * scale) - TEXTURE_REACH)
    placed[:, :2] *= scale
    placed[:, 2] -= (columns.start, rows.start)
    return _warp(texture, placed, rows.stop - rows.start, columns.stop - columns.start)


def _coverage(points: NDArray[np.float64], height: int, width: int) -> tuple[tuple[slice, slice], NDArray[np.float32]]:
    """Which part of the frame an outline touches, and which share of every pixel there it covers."""
    columns, rows = _span(points[:, 0], width), _span(points[:, 1], height)
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    if not all(shape):
        return (rows, columns), np.zeros(shape, np.float32)
    fine = np.zeros((shape[0] * SUBPIXELS, shape[1] * SUBPIXELS), np.float32)
    local = (points - (columns.start, rows.start) + 0.5) * SUBPIXELS - 0.5
    fixed = np.round(local * (1 << FIXED_POINT_BITS)).astype(np.int32)
    cv2.fillPoly(fine, [fixed], 1.0, shift=FIXED_POINT_BITS)
    return (rows, columns), fine.reshape(shape[0], SUBPIXELS, shape[1], SUBPIXELS).mean(axis=(1, 3))


def _span(values: NDArray[np.float64], limit: int) -> slice:
    start = min(max(0, math.floor(values.min())), limit)
    return slice(start, max(start, min(limit, math.ceil(values.max()) + 1)))


def _expose(rng: np.random.Generator, picture: Picture, exposure: float) -> NDArray[np.uint8]:
    noise = rng.standard_normal(picture.shape, np.float32)
    return np.clip(picture * np.float32(exposure) + np.float32(NOISE_SIGMA) * noise, 0, 255).astype(np.uint8)


def _shape(rng: np.random.Generator) -> _Shape:
    return _Shape(
        sharpness=float(rng.choice([1.4, 2.0, 2.0, 4.0])),
        aspect=float(rng.uniform(0.75, 1.33)),
        harmonics=[(cycles, rng.uniform(0, 2 * math.pi), _harmonic(rng, cycles)) for cycles in range(2, 6)],
    )


def _harmonic(rng: np.random.Generator, cycles: int) -> _Wave:
    return _swing(rng, rng.uniform(-0.25, 0.25) / cycles, 0.12 / cycles)


def _superellipse(angle: NDArray[np.float64], sharpness: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points of |x|^n + |y|^n = 1: a diamond below n = 2, an ellipse at 2, a rounded box above."""
    cosine, sine = np.cos(angle), np.sin(angle)
    power = 2 / sharpness
    return np.sign(cosine) * np.abs(cosine) ** power, np.sign(sine) * np.abs(sine) ** power


def _swing(rng: np.random.Generator, mean: float, amplitude: float) -> _Wave:
    period, phase = rng.uniform(70, 160), rng.uniform(0, 2 * math.pi)
    return _Wave(mean=mean, amplitude=amplitude, period_frames=period, phase=phase)


def _swing_inside(rng: np.random.Generator, length: int) -> _Wave:
    """A swing that keeps an object's centre within a side of the frame."""
    amplitude = rng.uniform(0.08, 0.3)
    border = amplitude + 0.1
    return _swing(rng, length * rng.uniform(border, 1 - border), length * amplitude)


def _similarity(scale: float, angle: float, x: float, y: float) -> Affine:
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    return np.array([[cosine, -sine, x], [sine, cosine, y]])


def _apply(pose: Affine, points: NDArray[np.float64]) -> NDArray[np.float64]:
    return points @ pose[:, :2].T + pose[:, 2]


def _warp(source: Picture, placed: Affine, height: int, width: int) -> Picture:
    size = (width, height)
    warped = cv2.warpAffine(source, placed, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(warped, np.float32)
