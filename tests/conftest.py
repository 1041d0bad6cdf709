"""What every test needs: one thread for numbers, so that cores are shared, a quiet Ray without tokens, and examples of
properties that are the same in every run."""

import os

# Before torch and Ray are imported, and for the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import torch
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.counts", "tests.skips"]
torch.set_num_threads(1)

# No time decides: on a busy machine every example may take long.
_TIMELESS = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", _TIMELESS, derandomize=True, database=None, max_examples=50)
settings.register_profile("fuzz", _TIMELESS, derandomize=False, max_examples=2_000)
settings.load_profile("repeatable")  # --hypothesis-profile comes after
