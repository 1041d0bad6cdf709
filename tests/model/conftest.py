"""Settings of all tests of the model."""

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Results and times that do not depend on how many cores are free."""
    torch.set_num_threads(1)
