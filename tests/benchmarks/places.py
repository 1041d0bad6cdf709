"""Whether weights know where things are: coloured squares that are alike but for hue and place.

    python -m tests.benchmarks.places [CHECKPOINT...] [--kinds squares-60 ...] [--seeds 3]

`squares-12` and `squares-60`: all are objects, and each moves a pixel a frame (`model.synthetic.make_squares`). `jump`:
four of them, and halfway each is suddenly a third of the frame elsewhere. `cross`: two pass each other, one hides the
other. `return`: one of four is away for a third of the frames, and comes back elsewhere. Eleven frames (return: 16) of
360 x 480 pixels, the first is given. Prints mean J over the frames after it and over seeds, and J of the last frame,
where an object that is hidden and not seen counts 1.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from model.clip import Clip
from model.metrics import SequenceScorer
from model.network import AFBURR
from model.result import Prompt
from model.segmenter import SegmenterConfig, VideoSegmenter
from model.synthetic import SQUARES_GROUND, make_squares
from model.textures import colour
from pipeline.input.weights import DEFAULT_CHECKPOINT, load_network

_FRAMES, _HEIGHT, _WIDTH = 11, 360, 480
_RETURN_FRAMES = 16
_SIDE = 48
_CORNERS = np.array([[40, 40], [40, 360], [240, 40], [240, 360]])
"""(y, x) of the four squares."""


def _squares(number: int) -> Callable[[int], Clip]:
    return lambda seed: make_squares(seed, num_frames=_FRAMES, height=_HEIGHT, width=_WIDTH, num_objects=number)


def _jump(seed: int) -> Clip:
    rng = np.random.default_rng(seed)
    path_TK2 = np.repeat(_CORNERS[None], _FRAMES, axis=0)
    ways = rng.permutation([[0, 160], [0, -160], [120, 0], [-120, 0]])
    path_TK2[_FRAMES // 2 :] += ways
    path_TK2 %= [_HEIGHT - _SIDE, _WIDTH - _SIDE]
    return _painted(path_TK2, seed)


def _cross(seed: int) -> Clip:
    """From side to side in ten frames; the second one is in front."""
    x_T = np.linspace(40, _WIDTH - _SIDE - 40, _FRAMES).round().astype(int)
    y_T = np.full_like(x_T, 150)
    return _painted(np.stack([np.stack([y_T, x_T], axis=1), np.stack([y_T + 12, x_T[::-1]], axis=1)], axis=1), seed)


def _return(seed: int) -> Clip:
    path_TK2 = np.repeat(_CORNERS[None], _RETURN_FRAMES, axis=0)
    away = _RETURN_FRAMES // 3
    path_TK2[away : 2 * away, 0] = [_HEIGHT, _WIDTH]
    path_TK2[2 * away :, 0] = [150, 200]
    return _painted(path_TK2, seed)


def _painted(path_TK2: NDArray[np.int_], seed: int) -> Clip:
    """Squares of evenly spread hues with their upper left corners there, the last in front."""
    first_hue = np.random.default_rng(seed).uniform(0, 360)
    frames = np.full((len(path_TK2), _HEIGHT, _WIDTH, 3), SQUARES_GROUND, np.uint8)
    labels = np.zeros(frames.shape[:3], np.uint8)
    number = path_TK2.shape[1]
    for t, corners in enumerate(path_TK2):
        for k, (top, left) in enumerate(corners):
            window = (t, slice(top, top + _SIDE), slice(left, left + _SIDE))
            frames[window], labels[window] = colour(first_hue + 360 * k / number, 0.8, 0.9), k + 1
    return Clip(frames=frames, labels=labels)


KINDS: dict[str, Callable[[int], Clip]] = {
    "squares-12": _squares(12),
    "squares-60": _squares(60),
    "jump": _jump,
    "cross": _cross,
    "return": _return,
}


def region_scores(network: AFBURR, clip: Clip) -> NDArray[np.float64]:
    """J [T - 1, K] of every object in every frame after the first, which is given."""
    segmenter, scorer = VideoSegmenter(network, SegmenterConfig()), SequenceScorer()
    objects = tuple(int(i) for i in np.unique(clip.labels[0]) if i)
    for t, (frame, truth) in enumerate(zip(clip.frames, clip.labels, strict=True)):
        prompt = None if t else Prompt(labels=truth.astype(np.int32), object_ids=objects)
        found = segmenter.step(torch.from_numpy(frame).permute(2, 0, 1), prompt).labels
        scorer.add(found, truth, prompted=prompt is not None)
    return np.array([score.J_by_frame for score in scorer.all_frames()]).T


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="*", default=[DEFAULT_CHECKPOINT])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    for checkpoint in asked.checkpoints:
        network = load_network(checkpoint)
        for kind in asked.kinds:
            began_s = time.process_time()
            scores = [region_scores(network, KINDS[kind](seed)) for seed in range(asked.seeds)]
            mean, last = np.mean([s.mean() for s in scores]), np.mean([s[-1].mean() for s in scores])
            took_s = time.process_time() - began_s
            sys.stdout.write(f"{checkpoint} {kind}: J {mean:.3f}, of the last frame {last:.3f}, {took_s:.0f} s CPU\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
