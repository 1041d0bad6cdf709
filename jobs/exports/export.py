"""An export from its plan to its last file: video by video, in several processes, and again from where it stopped."""

import hashlib
import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice

from jobs.exports import registry
from jobs.exports.destination import claim, finish, put_done, read_done
from jobs.exports.format import Format
from jobs.exports.losses import Loss, Tally
from jobs.exports.parts import Parts
from jobs.exports.pictures import Frames, task_of, write_pictures
from jobs.exports.plan import Asked, plan
from jobs.exports.sink import sink_of
from jobs.exports.video import ExportedVideo
from pipeline.errors import InvalidInput, InvalidOutput, PipelineError, StoreUnavailable
from pipeline.run.progress import Progress
from pipeline.storage.store import Store
from pipeline.version import code_version

_WAITING_PER_WORKER = 4
_MOST_WORKERS = 8


@dataclass(frozen=True, kw_only=True)
class _Job:
    """One video to write; it travels to a worker."""

    format: str
    video: ExportedVideo
    frames: Frames
    to: Store


def export(
    output: str,
    format_name: str,
    to: str,
    asked: Asked,
    *,
    frames: Frames = Frames.NONE,
    workers: int | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> Tally:
    """Write what is committed in `output` to the folder `to` (paths or URLs); what was written, and what was lost.

    `workers` processes write videos side by side, by default as many as there are cores, at most 8. The same call goes
    on with an export that was broken off.

    Raises:
        KeyboardInterrupt: `stop` asked for it.
        InvalidInput: an unknown format, nothing to export, or what the format needs is not there.
        InvalidOutput: `to` is not empty, or `output` is not ours or changed meanwhile.
        PipelineError: a video or store could not be read or written.
    """
    chosen = registry.find(format_name)
    corpus, videos = plan(output, asked)
    _check(chosen, videos, frames)
    store = Store(to)
    call = _call(chosen, videos, frames, asked)
    claim(store, call)
    done, written = read_done(store)
    jobs = [
        _Job(format=chosen.name, video=video, frames=frames, to=store) for video in videos if video.number not in done
    ]
    for tally in _written(jobs, workers, stop):
        written += tally
        on_progress(_progress(len(videos), written))
    chosen.finish(corpus, Parts(store))
    written = written.restricted(chosen.lacks)
    finish(store, call, written)
    return written


def _check(chosen: Format, videos: Sequence[ExportedVideo], frames: Frames) -> None:
    if frames is not Frames.NONE and chosen.pictures is None:
        raise InvalidInput(f"{chosen.name} has no place for frames: leave --frames out")
    if frames is not Frames.NONE or chosen.from_pictures:
        task_of(videos[0])


def _call(chosen: Format, videos: Sequence[ExportedVideo], frames: Frames, asked: Asked) -> dict[str, object]:
    """What must be the same for an export to go on: in the marker, so short however many videos there are."""
    what = [[video.video_id, video.found.paths, sorted(video.classes.items())] for video in videos]
    return {
        "format": chosen.name,
        "code_version": code_version(),
        "frames": str(frames),
        "selection": asdict(asked.selection),
        "results": hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest(),
    }


def _progress(videos: int, written: Tally) -> Progress:
    return Progress(
        videos_total=videos,
        videos_done=written.videos,
        videos_failed=0,
        frames_done=written.frames,
        frames_total=None,
    )


def _written(jobs: Sequence[_Job], workers: int | None, stop: Callable[[], bool]) -> Iterator[Tally]:
    processes = min(workers or min(os.cpu_count() or 1, _MOST_WORKERS), len(jobs))
    if processes > 1:
        yield from _side_by_side(jobs, processes, stop)
        return
    for job in jobs:
        _heed(stop)
        yield write_video(job)


def _side_by_side(jobs: Sequence[_Job], processes: int, stop: Callable[[], bool]) -> Iterator[Tally]:
    left = iter(jobs)
    with _pool(processes) as pool:
        begun: set[Future[Tally]] = set()
        while True:
            begun |= {
                pool.submit(write_video, job) for job in islice(left, _WAITING_PER_WORKER * processes - len(begun))
            }
            if not begun:
                return
            ended, begun = wait(begun, timeout=1.0, return_when=FIRST_COMPLETED)
            _heed(stop)
            for one in ended:
                yield one.result()


@contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    # Not forked: Arrow and the clients of stores have threads.
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_ignore_ctrl_c)
    try:
        yield pool
    except BrokenProcessPool as error:
        raise StoreUnavailable(
            "a process of the export died, as it does when memory runs out: call again with fewer --workers"
        ) from error
    except BaseException:
        # What is half written is written again by the next call.
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _ignore_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _heed(stop: Callable[[], bool]) -> None:
    if stop():
        raise KeyboardInterrupt


def write_video(job: _Job) -> Tally:
    """Write one video and note that it is done; what was written of it. Raises as `export`."""
    video, chosen = job.video, registry.find(job.format)
    try:
        with sink_of(job.to, video.number) as sink:
            if job.frames is not Frames.NONE and chosen.pictures is not None:
                write_pictures(video, job.frames, chosen.pictures, sink)
            chosen.write(video, video.frames(sink.tally), sink)
            sink.lost(Loss.CLASS, len(video.classes))
    except FileNotFoundError as error:
        raise InvalidOutput(
            f"video {video.video_id!r}: {error}; its result was replaced during the export: remove DEST and call again"
        ) from error
    except PipelineError as error:
        raise error.about(f"video {video.video_id!r}") from error
    put_done(job.to, video.number, sink.tally)
    return sink.tally
