"""What every test needs: one thread for numbers, so that cores are shared, and a quiet Ray without tokens."""

import os

# Before torch and Ray are imported, and for the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import torch

torch.set_num_threads(1)
