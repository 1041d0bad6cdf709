"""A report from an output to its last file: video by video, in memory a few of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from jobs.datasets.side_by_side import side_by_side
from jobs.reports.cards import put_cards
from jobs.reports.destination import INDEX, REVIEW, claim, put_assets, put_page
from jobs.reports.health import health_of
from jobs.reports.heat import HeatMaps
from jobs.reports.reporter import Asked, Done, Judge, Reporter, Source
from jobs.reports.scripts import data_script
from jobs.reports.videos import VideoRow, columns_of, failed_row
from jobs.reviewing.queue import QueueItem
from pipeline.credentials import without_credentials
from pipeline.errors import InvalidInput
from pipeline.input.manifest import read_manifest
from pipeline.output import tables
from pipeline.output.failures import open_failures
from pipeline.output.labels import committed_videos
from pipeline.output.layout import safe_name
from pipeline.storage.store import Store
from pipeline.version import code_version

T = TypeVar("T")

VERSION = 1
"""Of the data that the pages read."""
_FAILURE_COLUMNS = ("video_id", "cause", "message", "frame_index", "failed_at")


@dataclass(frozen=True, kw_only=True)
class Written:
    """What is in a report."""

    videos: int
    failed: int
    """Videos without a result."""
    pictures: int
    without_pictures: Mapping[str, str]
    """Why, by video_id of those whose frames could not be read."""
    heat_maps: int
    without_heat_maps: Mapping[str, str]
    """Why, by video_id of those that lack some."""
    proxies: int
    without_proxy: Mapping[str, str]
    """Why, by video_id."""


def write_report(
    output: str,
    to: str,
    asked: Asked,
    *,
    judge: Judge | None = None,
    items: Sequence[QueueItem] | None = None,
    shown: Callable[[Iterable[Done], int], Iterable[Done]] = lambda done, _: done,
    stop: Callable[[], bool] = lambda: False,
) -> Written:
    """Write pages about what is in `output` into the empty folder `to` (paths or URLs).

    `judge` says what masks are expected to be worth, `items` what is to be reviewed, worst first. A video that
    cannot be read is shown without pictures. `shown` passes the written videos on, with their number.

    Raises:
        KeyboardInterrupt: `stop` asked for it.
        InvalidInput: heat maps without pictures, films without a manifest.
        InvalidManifest: the manifest cannot be read.
        InvalidOutput: `to` is not empty, `output` is not ours, or it changed meanwhile.
        StoreUnavailable: a store failed.
    """
    if asked.heat and not (asked.manifest and asked.spaced):
        raise InvalidInput("heat maps lie on pictures: give --manifest, and --frames above 0, or leave out --heat")
    if asked.proxy and not asked.manifest:
        raise InvalidInput("films are made of the videos: give --manifest, or leave out --proxy")
    source = _read(output, asked)
    store = Store(to)
    claim(store)
    put_assets(store)
    reporter = Reporter(
        store=store,
        asked=asked,
        source=source,
        judge=judge,
        queued=_frames_of(items or ()),
        heat_maps=HeatMaps(output, asked.device, stop) if asked.heat else None,
        stop=stop,
    )
    done = list(
        until(stop, shown(side_by_side(reporter.write, sorted(source.videos), asked.readers), len(source.videos)))
    )
    rows = [one.row for one in done]
    rows += [
        failed_row(failure, safe_name(id_)) for id_, failure in source.failures.items() if id_ not in source.videos
    ]
    if items is not None:
        put_cards(store, output, items, source.videos, source.tasks, stop=stop)
        put_page(store, REVIEW)
    review = None if items is None else len(items)
    store.put("data/summary.js", data_script("summary", _summary(output, source, rows, asked) | {"review": review}))
    put_page(store, INDEX)
    return Written(
        videos=len(done),
        failed=len(rows) - len(done),
        pictures=sum(len(one.images.pictures) for one in done),
        without_pictures={one.row.id: one.problem for one in done if one.problem},
        heat_maps=sum(len(one.images.heat_maps) for one in done),
        without_heat_maps={one.row.id: one.images.without_heat_maps for one in done if one.images.without_heat_maps},
        proxies=sum(one.images.proxy is not None for one in done),
        without_proxy={one.row.id: one.images.without_proxy for one in done if one.images.without_proxy},
    )


def _frames_of(items: Sequence[QueueItem]) -> dict[str, list[int]]:
    """By video the frames that are to be reviewed."""
    found: dict[str, list[int]] = {}
    for item in items:
        found.setdefault(item.video_id, []).append(item.frame_index)
    return found


def _read(output: str, asked: Asked) -> Source:
    # Failures first: a video committed in between then counts as done, not as both.
    failures = tables.open(output, "failures").to_table(columns=list(_FAILURE_COLUMNS))
    found = committed_videos(output)
    videos = tables.open(output, "videos").to_table()
    rows = {row["video_id"]: row for row in videos.to_pylist()}
    return Source(
        videos={video_id: video for video_id, video in found.items() if video_id in rows},
        rows=rows,
        table=videos,
        failures=open_failures(failures, videos, _FAILURE_COLUMNS),
        tasks={task.video_id: task for task in read_manifest(asked.manifest, asked.allowed)} if asked.manifest else {},
    )


def until(stop: Callable[[], bool], things: Iterable[T]) -> Iterator[T]:
    """The same things. Raises KeyboardInterrupt where `stop` asks for it."""
    for one in things:
        if stop():
            raise KeyboardInterrupt
        yield one


def _summary(output: str, source: Source, rows: Sequence[VideoRow], asked: Asked) -> dict[str, object]:
    return {
        "version": VERSION,
        "output": without_credentials(Store(output).url),
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "code_version": code_version(),
        "pictures": asked.manifest is not None and asked.spaced > 0,
        "health": health_of(source.table, list(source.failures.values()), rows, asked.price_per_hour),
        "videos": columns_of(rows),
    }
