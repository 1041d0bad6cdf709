import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from jobs.pictures.mp4 import write_mp4
from jobs.reports.frames import SHORTER_SIDE
from jobs.reports.report import write_report
from jobs.reports.reporter import Asked
from pipeline.errors import InvalidInput
from pipeline.output import rle
from pipeline.output.labels import committed_video
from pipeline.output.marker import claim_output
from pipeline.storage.store import Store
from tests.jobs.exports.outputs import FOLDER, UNICODE, Output, box, put_video
from tests.jobs.pictures.shown import grey, read_video
from tests.jobs.reports.reading import values, video


@pytest.fixture(scope="module")
def filmed(output: Output, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with films."""
    folder = tmp_path_factory.mktemp("filmed")
    written = write_report(output.url, str(folder), Asked(manifest=output.manifest, proxy=True))
    assert (written.proxies, written.without_proxy) == (2, {})
    return folder


def objects_of(folder: Path, proxy: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """What its scripts say is in each frame."""
    found: list[list[dict[str, Any]]] = []
    for number in range(-(-proxy["frames"] // proxy["frames_a_script"])):
        name, frames = values((folder / proxy["folder"] / f"{number}.js").read_bytes())
        assert name == f"{proxy['folder']}/{number}.js"
        found += frames
    return found


@pytest.mark.parametrize(("video_id", "first", "fps"), [(FOLDER, 0, [24, 1]), (UNICODE, 2, [25, 1])])
def test_every_frame_is_in_the_film_and_in_its_scripts(
    filmed: Path, output: Output, video_id: str, first: int, fps: list[int]
) -> None:
    page = video(filmed, video_id)
    proxy = page["proxy"]
    assert (proxy["first"], proxy["frames"], proxy["fps"]) == (first, len(page["frame"]), fps)
    with av.open(str(filmed / proxy["folder"] / "video.mp4")) as film:
        times = [frame.time for frame in film.decode(video=0)]
    assert times == pytest.approx([place * fps[1] / fps[0] for place in range(proxy["frames"])], abs=1e-4)
    found = objects_of(filmed, proxy)
    assert len(found) == proxy["frames"]
    truth = committed_video(output.url, video_id).labels(page["frame"])
    for objects, frame in zip(found, truth, strict=True):
        assert [one["id"] for one in objects] == sorted(frame.uncertainty)
        for one in objects:
            mask = rle.decode(one["rle"], proxy["height"], proxy["width"])
            np.testing.assert_array_equal(mask, frame.labels == one["id"])


def test_a_frame_of_the_film_says_what_its_picture_says(filmed: Path) -> None:
    page = video(filmed, FOLDER)
    found = objects_of(filmed, page["proxy"])
    for shown in page["shown"]:
        plain = [{**one, "rle": ""} for one in shown["objects"]]
        assert [{**one, "rle": ""} for one in found[shown["frame"]]] == plain


def put_large(folder: Path, frames: int, *, masked: int | None = None, first: int = 0) -> tuple[str, str]:
    """A video of 720 x 1000 and an output of as many frames, or of `masked` from `first` on: their URL and manifest."""
    store = Store(str(folder / "out"))
    claim_output(store)
    place = [{7: box(720, 1000, 100 + place, 300, 400, 600)} for place in range(masked or frames)]
    put_video(store, "large", place, first=first)
    write_mp4(folder / "large.mp4", [grey(720, 1000, 40 + place % 100) for place in range(frames)], 25)
    row = {"video_id": "large", "video_uri": "large.mp4", "mask_uri": "none.png", "mask_frame": 0}
    (folder / "manifest.jsonl").write_text(json.dumps(row) + "\n")
    return store.url, str(folder / "manifest.jsonl")


def test_the_film_and_masks_of_a_large_video_are_small(tmp_path: Path) -> None:
    output, manifest = put_large(tmp_path, 3)
    write_report(output, str(tmp_path / "to"), Asked(manifest=manifest, proxy=True))
    proxy = video(tmp_path / "to", "large")["proxy"]
    assert (proxy["height"], proxy["width"]) == (SHORTER_SIDE, 667)
    film = read_video(tmp_path / "to" / proxy["folder"] / "video.mp4")
    assert film[0].shape[:2] == (480, 668)  # even sides
    mask = rle.decode(objects_of(tmp_path / "to", proxy)[0][0]["rle"], 480, 667)
    assert int((mask != box(480, 667, 67, 200, 267, 400)).sum()) <= 2 * 200 + 2 * 200  # a pixel along its edge


def test_masks_come_in_scripts_of_a_hundred_frames(tmp_path: Path) -> None:
    output, manifest = put_large(tmp_path, 101)
    write_report(output, str(tmp_path / "to"), Asked(manifest=manifest, proxy=True, spaced=0))
    page = video(tmp_path / "to", "large")
    assert len(objects_of(tmp_path / "to", page["proxy"])) == 101
    assert sorted(file.name for file in (tmp_path / "to" / page["proxy"]["folder"]).iterdir()) == [
        "0.js", "1.js", "video.mp4",
    ]  # fmt: skip


def test_of_a_video_that_became_shorter_there_is_what_is_left(tmp_path: Path) -> None:
    output, manifest = put_large(tmp_path, 2, masked=4)
    write_report(output, str(tmp_path / "to"), Asked(manifest=manifest, proxy=True))
    proxy = video(tmp_path / "to", "large")["proxy"]
    assert proxy["frames"] == len(objects_of(tmp_path / "to", proxy)) == 2


def test_a_video_that_was_replaced_has_no_film_and_the_page_says_so(tmp_path: Path) -> None:
    output, manifest = put_large(tmp_path, 2)
    write_mp4(tmp_path / "large.mp4", [grey(120, 160)] * 2, 25)
    written = write_report(output, str(tmp_path / "to"), Asked(manifest=manifest, proxy=True))
    page = video(tmp_path / "to", "large")
    assert (page["proxy"], written.proxies) == (None, 0)
    assert page["without_proxy"] == written.without_proxy["large"]
    assert "another size" in page["without_proxy"]
    assert not (tmp_path / "to/proxies").exists()


def test_a_video_that_ends_before_its_masks_has_no_film(tmp_path: Path) -> None:
    output, manifest = put_large(tmp_path, 2, masked=1, first=9)
    written = write_report(output, str(tmp_path / "to"), Asked(manifest=manifest, proxy=True))
    assert "large.mp4" in written.without_proxy["large"]
    assert not (tmp_path / "to/proxies").exists()


def test_a_report_without_films_has_none(report: Path) -> None:
    assert video(report, FOLDER)["proxy"] is None
    assert not (report / "proxies").exists()


def test_films_need_a_manifest(output: Output, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--manifest"):
        write_report(output.url, str(tmp_path / "to"), Asked(proxy=True))
    assert not (tmp_path / "to").exists()


def test_a_film_can_be_stopped(output: Output, tmp_path: Path) -> None:
    """After the pictures of a video, before its page is written."""
    calls = 0

    def stop() -> bool:
        nonlocal calls
        calls += 1
        return calls > 3

    with pytest.raises(KeyboardInterrupt):
        write_report(output.url, str(tmp_path), Asked(manifest=output.manifest, proxy=True, readers=1), stop=stop)
    assert list((tmp_path / "data").rglob("*.js")) == []
