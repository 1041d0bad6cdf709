"""What the things of generated clips are painted with: patterns, clouds and colours, from a random generator."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]
"""[H, W, 3] RGB, 0 to 255."""

TEXTURE_SIDE = 256
TEXTURE_REACH = 2.0
"""The texture spans this many radii to each side of an object's centre; no outline reaches further."""


def texture(rng: np.random.Generator, hue: float) -> Picture:
    """Stripes, dots or blotches [TEXTURE_SIDE, TEXTURE_SIDE, 3] around a hue in degrees, grainy, lit from a side."""
    pattern = (_stripes, _dots, _blotches)[rng.integers(3)](rng)
    saturation, value = rng.uniform(0.5, 0.9), rng.uniform(0.5, 0.95)
    first = colour(hue, saturation, value)
    second = colour(hue + rng.uniform(-30, 30), saturation * rng.uniform(0.3, 1), value * rng.uniform(0.35, 0.7))
    grain = cloud(rng, TEXTURE_SIDE, TEXTURE_SIDE, TEXTURE_SIDE // 32)
    return mix(pattern, first, second) * (0.85 + 0.3 * grain * _light(rng))[..., None]


def _light(rng: np.random.Generator) -> NDArray[np.float32]:
    """Brighter towards one side, as if lit from there."""
    y, x = _texture_grid()
    direction = rng.uniform(0, 2 * math.pi)
    return (1 + 0.6 * (math.cos(direction) * x + math.sin(direction) * y)).astype(np.float32)


def _stripes(rng: np.random.Generator) -> NDArray[np.float32]:
    y, x = _texture_grid()
    direction, frequency = rng.uniform(0, math.pi), rng.uniform(4, 9)
    bend = 0.5 * cloud(rng, TEXTURE_SIDE, TEXTURE_SIDE, TEXTURE_SIDE // 4)
    return _steps(np.sin(frequency * (math.cos(direction) * x + math.sin(direction) * y + bend)))


def _dots(rng: np.random.Generator) -> NDArray[np.float32]:
    y, x = _texture_grid()
    frequency = rng.uniform(5, 9)
    return _steps(np.sin(frequency * x) * np.sin(frequency * y) - 0.3)


def _blotches(rng: np.random.Generator) -> NDArray[np.float32]:
    return _steps(4 * cloud(rng, TEXTURE_SIDE, TEXTURE_SIDE, TEXTURE_SIDE // 8) - 2)


def _steps(wave: NDArray[np.float64] | NDArray[np.float32]) -> NDArray[np.float32]:
    """Two tones with a soft border where the wave changes its sign, 0 to 1."""
    return np.clip(0.5 + 3 * wave, 0, 1).astype(np.float32)


def _texture_grid() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    side = np.linspace(-TEXTURE_REACH, TEXTURE_REACH, TEXTURE_SIDE)
    return side[:, None], side[None, :]


def cloud(rng: np.random.Generator, height: int, width: int, cell: int) -> NDArray[np.float32]:
    """Smooth noise [height, width] from 0 to 1: three octaves, the coarsest has features of `cell` pixels."""
    total = np.zeros((height, width), np.float32)
    for octave in range(3):
        step = max(1, cell >> octave)
        grid = rng.random((height // step + 2, width // step + 2), np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * 0.5**octave
    low, high = float(total.min()), float(total.max())
    return (total - low) / (high - low + 1e-6)


def mix(share: NDArray[np.float32], first: Picture, second: Picture) -> Picture:
    """[H, W, 3]: of the second colour a share [H, W], the rest of the first."""
    return first + share[..., None] * (second - first)


def colour(hue: float, saturation: float, value: float) -> Picture:
    """[3] RGB, 0 to 255, of a hue in degrees and the others in [0, 1]."""
    hsv = np.array([[[hue % 360, saturation, value]]], np.float32)
    return np.asarray(255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0], np.float32)
