"""How well shot cuts are found: of real videos, put one behind the other with hard cuts, dissolves and fades.

    python -m tests.benchmarks.cuts SOURCE... --cuts 20
    python -m tests.benchmarks.cuts SOURCE... --cuts 0      each by itself: whatever is marked is no cut of ours

A SOURCE is a video file or a folder of frames. A mark counts for a cut from the fade's first frame to 8 frames after
its last one, once; every other mark is false. Nothing is segmented: what is measured is all that cuts are told by.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch

from model.cuts import ShotCuts, look
from model.network import AFBURR
from model.segmenter import SegmenterConfig, VideoSegmenter
from pipeline.input.frames import Rgb
from pipeline.input.video import open_video
from pipeline.input.weights import DEFAULT_CHECKPOINT, load_network

_LATE = 8
_SHOT = 44
_SIZE = (640, 360)
_STARTS = 80
"""Shots begin somewhere in the first frames of a source."""
_KINDS = ("hard", "dissolve", "hard", "black")
_LENGTHS = (8, 12, 16)


@dataclass(frozen=True)
class Cut:
    """One that was made."""

    first: int
    """Frame index of the first frame that is not the shot before alone."""
    frames: int
    """Of the fade; 0: hard."""
    kind: str


def frames_of(source: str, size: tuple[int, int] | None) -> Iterator[Rgb]:
    """All frames; resized to (width, height) where it says."""
    with open_video(source) as reader:
        for frame in reader:
            yield frame.rgb if size is None else np.asarray(cv2.resize(frame.rgb, size), np.uint8)


def joined(sources: Sequence[str], cuts: int, seed: int, made: list[Cut]) -> Iterator[Rgb]:
    """Shots of 44 frames at most from the sources, each from another one than the last; fills `made`."""
    random, index, source = np.random.default_rng(seed), 0, ""
    shown: list[Rgb] = []
    for number in range(cuts + 1):
        source = str(random.choice([one for one in sources if one != source]))
        shot = _shot(source, random)
        kind = _KINDS[number % len(_KINDS)] if number else "hard"
        fade = 0 if kind == "hard" else int(random.choice(_LENGTHS))
        yield from shown[: len(shown) - fade]
        index += max(0, len(shown) - fade)
        mixed = [
            _mixed(old, new, kind, k / (fade + 1))
            for k, (old, new) in enumerate(zip(shown[len(shown) - fade :], shot[:fade], strict=True), 1)
        ]
        if number:
            made.append(Cut(index, fade, kind))
        shown = [*mixed, *shot[fade:]]
    yield from shown


def _shot(source: str, random: np.random.Generator) -> list[Rgb]:
    with open_video(source) as reader:
        frames = reader.info.num_frames or _SHOT
    start = int(random.integers(0, max(1, min(_STARTS, frames - _SHOT))))
    return list(islice(frames_of(source, _SIZE), start, start + _SHOT))


def _mixed(old: Rgb, new: Rgb, kind: str, share: float) -> Rgb:
    shares = (max(0.0, 1 - 2 * share), max(0.0, 2 * share - 1)) if kind == "black" else (1 - share, share)
    return np.asarray(cv2.addWeighted(old, shares[0], new, shares[1], 0), np.uint8)


@torch.inference_mode()
def marks(network: AFBURR, frames: Iterator[Rgb]) -> tuple[list[int], int]:
    """Frames that are marked, and how many there were."""
    cuts, found, index = ShotCuts(), [], -1
    segmenter = VideoSegmenter(network, SegmenterConfig())
    for index, frame in enumerate(frames):
        picture = segmenter._picture(torch.from_numpy(frame).permute(2, 0, 1))
        if cuts.add(look(picture, network.coarse_features(picture)).numpy()):
            found.append(index)
    return found, index + 1


def scored(cuts: Sequence[Cut], found: list[int]) -> None:
    """Print each cut and the marks that count for it, then precision and recall."""
    left, hits = list(found), 0
    for cut in cuts:
        own = [mark for mark in left if cut.first <= mark <= cut.first + cut.frames + _LATE]
        hits += bool(own)
        left = [mark for mark in left if mark not in own[:1]]
        where = f"marked {own[0] - cut.first} frames after its beginning" if own else "not found"
        sys.stdout.write(f"{cut.kind} at {cut.first}, {cut.frames} frames: {where}\n")
    precision = hits / len(found) if found else 0.0
    sys.stdout.write(f"{hits} of {len(cuts)} found, {len(left)} false: precision {precision:.2f}, ")
    sys.stdout.write(f"recall {hits / len(cuts):.2f}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    network = load_network(DEFAULT_CHECKPOINT).eval()
    began_s = time.perf_counter()
    if arguments.cuts:
        made: list[Cut] = []
        found, frames = marks(network, joined(arguments.sources, arguments.cuts, arguments.seed, made))
        scored(made, found)
    else:
        frames = 0
        for source in arguments.sources:
            found, count = marks(network, frames_of(source, None))
            frames += count
            sys.stdout.write(f"{Path(source).name}: {count} frames, marked {found}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{frames} frames in {time.perf_counter() - began_s:.0f} s\n")


if __name__ == "__main__":
    main()
