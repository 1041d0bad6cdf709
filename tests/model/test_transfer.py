"""On the CPU nothing is copied; on a GPU (tests/model/test_on_a_gpu.py) nothing waits."""

import torch

from model.transfer import Download, Upload
from tests.model.recorders import Operations


def test_on_the_cpu_a_frame_is_there_already() -> None:
    frame = torch.zeros(4, 5, 3, dtype=torch.uint8).permute(2, 0, 1)
    with Operations() as operations:
        assert Upload(torch.device("cpu"))(frame).arrived() is frame
    assert not operations.names


def test_and_so_is_what_comes_back() -> None:
    line = torch.arange(5, dtype=torch.uint8)
    assert Download(line).fetch() is line
