"""A small setup that the benchmark's tests share."""

import pytest
import torch

from jobs.benchmarks.setup import Setup
from pipeline.input.weights import load_network


@pytest.fixture(scope="session")
def setup() -> Setup:
    torch.set_num_threads(1)
    return Setup(
        network=load_network("lite0-open"),
        height=64,
        width=96,
        num_objects=(1, 3),
        frames=1,
        banks=(48, 480),
        video_frames=3,
        pictures=((48, 64),),
        written_objects=(1, 2),
        written_frames=9,
        long_frames=16,
        long_window=4,
        long_budget=500,
    )
