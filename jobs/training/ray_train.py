"""The same training on several workers, through Ray Train: each learns from its share of every step's clips."""

import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from jobs.training.course import Course
from jobs.training.reports import Learned, Reporter
from jobs.training.session import Team, learn
from jobs.training.validation import Score
from model.network import AFBURR
from pipeline.errors import InvalidInput, PipelineError, WorkerLost
from pipeline.run.ray_cluster import in_ray_cluster


def learn_together(course: Course, network: AFBURR, reporter: Reporter, *, workers: int) -> None:
    """Train on workers with a GPU each, or on CPUs where Ray knows no GPU. Paths in `course` must be absolute.

    Raises:
        InvalidInput: the material does not suffice, this machine has too few GPUs, or the extra is not installed.
        WorkerLost: a worker failed or died; the same call goes on from the last save.
    """
    try:  # here, like all of Ray: a training on one worker needs none of it
        from ray.train import RunConfig, ScalingConfig, WorkerGroupError
        from ray.train.torch import TorchTrainer
    except ImportError as error:
        raise InvalidInput("several workers need the extra: pip install 'vos-batch[train]'") from error
    from pipeline.run.ray_cluster import cluster_gpus, connect

    connect(workers)
    gpus = cluster_gpus()
    if 0 < gpus < workers and not in_ray_cluster():
        raise InvalidInput(f"{workers} workers, but Ray finds {gpus} GPUs on this machine: use --workers {gpus}")
    # Ray Train wants a folder of its own, though the checkpoints go to OUTPUT.
    with _forwarding(reporter) as queue, tempfile.TemporaryDirectory() as folder:
        trainer = TorchTrainer(
            _work,
            train_loop_config={"course": course, "network": network, "queue": queue},
            scaling_config=ScalingConfig(num_workers=workers, use_gpu=gpus > 0),
            run_config=RunConfig(storage_path=folder),
        )
        try:
            trainer.fit()
        except WorkerGroupError as error:
            raise _cause(error.worker_failures.values()) from error


def _cause(failures: Iterable[Exception]) -> PipelineError:
    """What the person who called must know; where one worker fails, the others fail for want of it."""
    known = [failure for failure in failures if isinstance(failure, PipelineError)]
    if known:
        return known[0]
    told = "; ".join(f"{type(failure).__name__}: {failure}" for failure in failures)
    return WorkerLost(f"a worker failed ({told}): the same call goes on from the last save")


def _work(config: dict[str, Any]) -> None:
    """One worker's process."""
    from ray import train
    from ray.train.torch import get_device

    context = train.get_context()
    team = Team(
        device=get_device(), rank=context.get_world_rank(), size=context.get_world_size(), reduce=_sum_over_workers
    )
    learn(config["course"], config["network"], _Remote(config["queue"]), team)


def _sum_over_workers(tensors: Sequence[Tensor]) -> None:
    """In one message: many small ones would wait for each other."""
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    torch.distributed.all_reduce(flat)
    for tensor, total in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(total.view_as(tensor))


class _Remote:
    """A reporter in a worker's process, whose calls are made in the driver's."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    def note(self, text: str) -> None:
        self._queue.put(("note", (text,)))

    def learned(self, report: Learned) -> None:
        self._queue.put(("learned", (report,)))

    def scored(self, step: int, score: Score) -> None:
        self._queue.put(("scored", (step, score)))


@contextmanager
def _forwarding(reporter: Reporter) -> Iterator[Any]:
    """A queue for `_Remote`; at the end of the context all it was given has reached the reporter."""
    from ray.util.queue import Queue

    queue = Queue(actor_options={"num_cpus": 0})

    def forward() -> None:
        for name, arguments in iter(queue.get, None):
            getattr(reporter, name)(*arguments)

    thread = threading.Thread(target=forward, daemon=True)
    thread.start()
    try:
        yield queue
    finally:
        queue.put(None)
        thread.join()
        queue.shutdown()
