"""The published code's results (tests/golden/README.md), the network with its weights, and runs over its clips.

Legend: K channels (background + objects), n frames, H W frame size.
"""

import functools
import importlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.bank import BankConfig
from model.checkpoint import our_name
from model.network import AFBURR
from model.result import BankStatistics, Prompt
from model.segmenter import SegmenterConfig, VideoSegmenter
from model.state import ChannelState

FOLDER = Path(__file__).parents[1] / "golden"
WEIGHT_SEED = 20201
WEIGHTS_SHA256 = "637e238f9d4c3808203caf2ad3db85d50910bbede60b227bd1fac784594b098c"

Arrays = dict[str, NDArray[Any]]


def load(name: str) -> Arrays:
    """The arrays of one golden file."""
    with np.load(FOLDER / f"{name}.npz") as file:
        return dict(file)


def published_entries() -> list[dict[str, Any]]:
    """{name, shape, dtype} of every entry of a published checkpoint, in its order."""
    entries: list[dict[str, Any]] = json.loads((FOLDER / "state_dict_names.json").read_text())
    return entries


def published_weights() -> Arrays:
    """The random weights of the golden runs under their published names."""
    recipe = importlib.import_module("tests.golden.recipe")
    names_and_shapes = [(entry["name"], entry["shape"]) for entry in published_entries()]
    weights: Arrays = recipe.make_state_dict(WEIGHT_SEED, names_and_shapes)
    return weights


@functools.cache
def network() -> AFBURR:
    """The `resnet50` network with the golden weights (shared: leave it as it is)."""
    weights = {our_name(name): torch.from_numpy(value) for name, value in published_weights().items()}
    built = AFBURR("resnet50").eval()
    built.load_state_dict(weights)
    return built


def picture(frame: NDArray[Any]) -> Tensor:
    """RGB uint8 [H, W, 3] -> [1, 3, H, W] float in [0, 1]."""
    return torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255


def published_config(case: Arrays) -> SegmenterConfig:
    """The settings of a golden run, in ours."""
    bank = replace(
        BankConfig.published(),
        budget=int(case["budget"]),
        merge_threshold=float(case["thres_close"]),
        update_rate=float(case["update_rate"]),
        valid_weight=float(case["thres_valid"]),
    )
    return SegmenterConfig(bank=bank, max_side=0, min_side=0)


@dataclass(frozen=True, kw_only=True)
class CaseRun:
    """Our run over the clip of a golden case; index t is the frame."""

    probabilities: list[NDArray[np.float32] | None]
    """[K, H, W] of each frame; None for the prompted one."""
    labels: list[NDArray[np.int32]]
    statistics: list[BankStatistics]
    states: list[dict[int, ChannelState]]
    """The rows of each channel after each frame."""

    def sizes(self, t: int) -> list[int]:
        """Rows of each channel after frame t."""
        return [len(rows.use) for rows in self.states[t].values()]

    def appended(self, t: int) -> list[int]:
        """Rows of each channel that frame t brought."""
        return [int((rows.inserted == t).sum()) for rows in self.states[t].values()]


def run_case(case: Arrays, config: SegmenterConfig) -> CaseRun:
    """Segment a golden clip, prompted by its first labels."""
    ids = tuple(range(1, int(case["obj_n"])))
    segmenter = VideoSegmenter(network(), config, object_ids=ids)
    prompt = Prompt(labels=case["label0"].astype(np.int32), object_ids=ids)
    results, states = [], []
    for t, frame in enumerate(case["frames"]):
        chw = torch.from_numpy(frame).permute(2, 0, 1)
        results.append(segmenter.step(chw, prompt if t == 0 else None, keep_probabilities=True))
        states.append(_channels(segmenter))
    return CaseRun(
        probabilities=[result.probabilities for result in results],
        labels=[result.labels for result in results],
        statistics=[result.bank for result in results],
        states=states,
    )


@functools.cache
def published_run(name: str) -> CaseRun:
    """Our run of a golden case with the published settings."""
    case = load(name)
    return run_case(case, published_config(case))


def _channels(segmenter: VideoSegmenter) -> dict[int, ChannelState]:
    """In order of insertion."""
    return {channel: in_order(rows) for channel, rows in segmenter.state().bank.channels.items()}


def in_order(rows: ChannelState) -> ChannelState:
    """A channel's rows by insertion."""
    by_order = rows.order.argsort()
    return ChannelState(**{name: x[by_order] for name, x in vars(rows).items()})
