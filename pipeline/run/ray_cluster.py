"""The Ray cluster that this process runs in, or the Ray that it starts on this machine.

Ray is imported where it is needed: that takes a second, which a run with the local pool need not spend.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


def in_ray_cluster() -> bool:
    """Whether this process was started inside a Ray cluster, or told of one (RAY_ADDRESS, a submitted job)."""
    return bool(os.environ.get("RAY_ADDRESS") or os.environ.get("RAY_JOB_ID"))


def connect(workers: int | None = None) -> None:
    """Attach to the cluster this process runs in, else start Ray on this machine.

    `workers`: CPUs that a Ray started here hands out, at least; None: the machine's.
    """
    import ray

    if ray.is_initialized():
        return
    with _own_signals():
        _connect(workers)


def _connect(workers: int | None) -> None:
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if in_ray_cluster():
        ray.init(address="auto", **quiet)
    else:
        cpus = max(workers or 1, os.cpu_count() or 1)
        ray.init(address="local", num_cpus=cpus, include_dashboard=False, **quiet)


@contextmanager
def _own_signals() -> Iterator[None]:
    """What SIGTERM means is for the program to say: Ray takes it over, and ends the process without a clean-up."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def cluster_gpus() -> int:
    """GPUs of the cluster that `connect` attached to."""
    import ray

    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return int(resources.get("GPU", 0))


def cluster_nodes() -> list[tuple[float, float]]:
    """CPUs and GPUs of each node that is up, whoever uses them."""
    import ray

    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    there = [node["Resources"] for node in nodes if node["Alive"]]
    return [(resources.get("CPU", 0.0), resources.get("GPU", 0.0)) for resources in there]
