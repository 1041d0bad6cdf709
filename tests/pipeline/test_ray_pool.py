"""The contract over Ray actors, and what only Ray can do: pin GPUs, replace what was killed."""

import logging
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
import torch

from pipeline import tables
from pipeline.config import WorkerConfig
from pipeline.errors import InvalidInput, WorkerLost
from pipeline.ray_pool import RayPool, cluster_gpus
from pipeline.run import LocalPool, Pool, Progress, run
from tests.pipeline.corpus import HEIGHT, WIDTH, Corpus, config_for, digests, write_corpus
from tests.pipeline.media import moving_square, write_video
from tests.pipeline.pool_contract import PoolContract

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module", autouse=True)
def ray_with_fake_gpus() -> Iterator[None]:
    environment = {"RAY_BACKEND_LOG_LEVEL": "error", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    with pytest.MonkeyPatch.context() as patched:
        for name in ("RAY_ADDRESS", "RAY_JOB_ID"):
            patched.delenv(name, raising=False)
        for name, value in environment.items():
            patched.setenv(name, value)
        ray.init(
            address="local",
            num_cpus=4,
            num_gpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        yield
        ray.shutdown()


class TestRayPoolOnFiles(PoolContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make_pool(cls) -> Callable[[WorkerConfig], Pool]:
        return lambda config: RayPool(config, workers=1, gpus_per_worker=0)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture
def config(tmp_path: Path) -> WorkerConfig:
    return config_for(tmp_path / "out")


@pytest.fixture
def expected(corpus: Corpus, tmp_path: Path) -> dict[tuple[str, str], str]:
    """Digests of an undisturbed run."""
    local = config_for(tmp_path / "local")
    run(corpus.tasks, local, LocalPool(local))
    return digests(local.output)


def ask(pool: RayPool, question: Callable[[Any], Any]) -> list[Any]:
    """The answer of every actor's process."""
    answers: list[Any] = ray.get([member._actor.__ray_call__.remote(question) for member in pool._members])
    return answers


class TestPinning:
    def test_every_actor_has_its_own_gpu(
        self, corpus: Corpus, config: WorkerConfig, expected: dict[tuple[str, str], str]
    ) -> None:
        """With fake GPUs and an explicit `cpu`, so that the actors can run anywhere."""
        assert cluster_gpus() == 2
        pool, visible = RayPool(config, workers=2, gpus_per_worker=1), list[str]()

        def look(progress: Progress) -> None:
            if not visible:
                visible.extend(ask(pool, lambda _: os.environ["CUDA_VISIBLE_DEVICES"]))

        summary = run(corpus.tasks, config, pool, on_progress=look)
        assert sorted(visible) == ["0", "1"]
        assert summary.complete == 4 and digests(config.output) == expected

    @pytest.mark.skipif(torch.cuda.is_available(), reason="torch sees a GPU")
    def test_a_reserved_gpu_that_torch_does_not_see_ends_the_run(self, corpus: Corpus, config: WorkerConfig) -> None:
        auto = replace(config, device="auto")
        with pytest.raises(InvalidInput, match="torch sees none"):
            run(corpus.tasks, auto, RayPool(auto, workers=1))

    def test_more_gpus_than_there_are_are_refused_at_once(self, corpus: Corpus, config: WorkerConfig) -> None:
        with pytest.raises(InvalidInput, match=r"3 GPU a worker .* Ray finds 2 .*--gpus-per-worker 0"):
            run(corpus.tasks, config, RayPool(config, workers=1, gpus_per_worker=3))


class TestLosses:
    def test_a_killed_actor_is_replaced_and_the_tables_are_the_same(self, config: WorkerConfig, tmp_path: Path) -> None:
        corpus = write_corpus(tmp_path / "corpus")
        # Long enough to be met in the middle.
        write_video(tmp_path / "corpus" / "two.mp4", moving_square(80, HEIGHT, WIDTH))
        tasks = [task for task in corpus.tasks if task.video_id in ("two/objects", "folder")]
        pool, killed, frames_done = RayPool(config, workers=1, gpus_per_worker=0), list[int](), list[int]()

        def kill_once(progress: Progress) -> None:
            frames_done.append(progress.frames_done)
            if progress.frames_done >= 3 and not killed:
                killed.extend(ask(pool, lambda _: os.getpid()))
                os.kill(killed[0], signal.SIGKILL)

        summary = run(tasks, config, pool, on_progress=kill_once)
        assert len(killed) == 1
        assert (summary.complete, summary.failed) == (2, {})
        (failure,) = tables.open(config.output, "failures").to_table().to_pylist()
        assert (failure["cause"], failure["retryable"], failure["attempt"]) == ("WorkerLost", True, 1)
        assert failure["worker"] == "actor-1" and repr(failure["video_id"]) in failure["message"]
        assert frames_done == sorted(frames_done) and len(set(frames_done)) > 2
        local = config_for(tmp_path / "local")
        run(tasks, local, LocalPool(local))
        assert digests(config.output) == digests(local.output)

    def test_actors_that_keep_dying_while_they_start_end_the_run(
        self, corpus: Corpus, config: WorkerConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pipeline.ray_pool._MAX_LOST_IN_SETUP", 2)
        pool = RayPool(replace(config, output=Deadly()), workers=1, gpus_per_worker=0)  # type: ignore[arg-type]
        with pytest.raises(WorkerLost, match="2 workers in a row could not start"):
            run(corpus.tasks, config, pool)


class Deadly:
    """Ends the process that unpickles it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (1,)
