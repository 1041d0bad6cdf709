"""Films in a browser, from a disk and over HTTP by a server that knows no ranges."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.pictures.decode import decode_picture
from jobs.pictures.mp4 import write_mp4
from jobs.reports.destination import INDEX
from jobs.reports.report import write_report
from jobs.reports.reporter import Asked
from pipeline.output.marker import claim_output
from pipeline.storage.store import Store
from tests.jobs.exports.outputs import box, put_video
from tests.jobs.pictures.shown import grey
from tests.jobs.reports.browser import opened, served

pytestmark = pytest.mark.browser

FRAMES, FIRST, HEIGHT, WIDTH = 150, 10, 60, 200
SHADES = 8
"""Steps of grey from a frame of the video to the next, which tell frames apart."""


def left(frame: int) -> int:
    """Where the object of a frame begins; it is 20 pixels wide."""
    return frame - FIRST


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of a video whose frames go from dark to light again and again, with a box that moves to the right."""
    folder = tmp_path_factory.mktemp("filmed")
    store = Store(str(folder / "out"))
    claim_output(store)
    masks = [{4: box(HEIGHT, WIDTH, 20, left(t), 40, left(t) + 20)} for t in range(FIRST, FIRST + FRAMES)]
    put_video(store, "walk", masks, first=FIRST)
    write_mp4(folder / "walk.mp4", [grey(HEIGHT, WIDTH, shade(t)) for t in range(FIRST + FRAMES)], 25)
    row = {"video_id": "walk", "video_uri": "walk.mp4", "mask_uri": "none.png", "mask_frame": FIRST}
    (folder / "manifest.jsonl").write_text(json.dumps(row) + "\n")
    write_report(store.url, str(folder / "to"), Asked(manifest=str(folder / "manifest.jsonl"), proxy=True, spaced=5))
    return folder / "to"


def shade(frame: int) -> int:
    return 20 + SHADES * (frame % 25)


@pytest.fixture(params=["file", "http"])
def address(request: pytest.FixtureRequest, filmed: Path) -> Iterator[str]:
    if request.param == "file":
        yield f"file://{filmed}/{INDEX}"
    else:
        with served(filmed) as url:
            yield f"{url}/{INDEX}"


BEGIN = """() => {
    const copy = Object.assign(document.createElement("canvas"), { width: 200, height: 60 });
    const context = copy.getContext("2d", { willReadFrequently: true });
    context.drawImage(document.querySelector(".stage canvas"), 0, 0);
    return context.getImageData(0, 30, 200, 1).data.findIndex((value, at) => at % 4 === 3 && value) >> 2;
}"""
"""Where the masks on the film's canvas begin; -1: nowhere."""


def shade_of(page: Any) -> float:
    """Grey below the object, as it is on the screen: no script may look at a film from a disk."""
    picture = decode_picture(page.locator(".stage .picture").screenshot(), "screenshot")
    height, width = picture.shape[:2]
    return float(picture[round(0.8 * height) : round(0.9 * height), width // 3 : width // 2].mean())


def at_frame(page: Any, frame: int) -> None:
    """Wait until this frame of the film is seen with its masks, and check both."""
    page.locator(".stage aside h2", has_text=f"Frame {frame}").wait_for()
    page.locator(".objects").wait_for()
    for _ in range(20):  # the screen may be a moment behind the page
        if abs(shade_of(page) - shade(frame)) < SHADES / 2:
            break
        page.wait_for_timeout(100)
    assert abs(shade_of(page) - shade(frame)) < SHADES / 2
    assert page.evaluate(BEGIN) == left(frame)


def test_any_frame_is_shown_with_its_masks(browser: Any, address: str) -> None:
    with opened(browser) as page:
        page.goto(f"{address}#video=walk&frame=33")
        at_frame(page, 33)
        page.keyboard.press(".")
        at_frame(page, 34)
        for _ in range(3):
            page.keyboard.press(",")
        at_frame(page, 31)
        page.get_by_label("Frame of the film").fill("127")  # of the second script of masks
        at_frame(page, 127)
        assert page.url.endswith("#video=walk&frame=127")


def test_it_plays_from_the_frame_that_is_shown_to_where_it_is_stopped(browser: Any, address: str) -> None:
    with opened(browser) as page:
        page.goto(f"{address}#video=walk&frame=33")
        at_frame(page, 33)
        page.keyboard.press("Space")
        page.wait_for_function("document.querySelector('.stage video').currentTime > 1.4")
        page.get_by_role("button", name="Pause").click()
        page.get_by_role("button", name="Play").wait_for()
        page.wait_for_timeout(300)  # a browser may go back to the frame before when it stops
        frame = int(page.get_by_label("Frame of the film").input_value())
        assert 33 < frame < FIRST + FRAMES - 1
        at_frame(page, frame)


DRAWN = """() => new Promise((resolve) => {
    const video = document.querySelector(".stage video");
    const found = [];
    const look = (_, { mediaTime }) => {
        found.push([Math.round(mediaTime * 25), BEGIN]);
        if (found.length < 20) video.requestVideoFrameCallback(look);
        else resolve(found);
    };
    video.requestVideoFrameCallback(look);
})"""
"""Twenty frames of the film that plays, and where the masks begin that lie over each."""


def test_masks_keep_up_with_a_film_that_plays(browser: Any, filmed: Path) -> None:
    with opened(browser) as page:
        page.goto(f"file://{filmed}/{INDEX}#video=walk&frame=11")
        at_frame(page, 11)
        page.keyboard.press("Space")
        page.wait_for_function("document.querySelector('.stage video')?.currentTime > 0.4")
        drawn = page.evaluate(DRAWN.replace("BEGIN", f"({BEGIN})()"))
    late = np.array([frame - begin for frame, begin in drawn])
    assert len({frame for frame, _ in drawn}) == 20
    assert ((late == 0) | (late == 1)).all()  # asked for before or after the page's own drawing of that frame


def test_at_its_end_it_stops_and_begins_anew(browser: Any, filmed: Path) -> None:
    with opened(browser) as page:
        page.goto(f"file://{filmed}/{INDEX}#video=walk&frame=155")
        at_frame(page, 155)
        page.get_by_role("button", name="Play").click()
        page.locator(".stage aside h2", has_text=f"Frame {FIRST + FRAMES - 1}").wait_for()
        page.get_by_role("button", name="Play").click()
        page.wait_for_function("document.querySelector('.stage video').currentTime < 3")
        page.keyboard.press("Space")
        page.get_by_role("button", name="Play").wait_for()


def test_pictures_and_film_take_turns(browser: Any, filmed: Path) -> None:
    with opened(browser) as page:
        page.goto(f"file://{filmed}/{INDEX}#video=walk&frame=33")
        at_frame(page, 33)
        page.keyboard.press("ArrowRight")
        page.locator(".stage img").wait_for()
        after = int(page.locator(".stage aside h2").inner_text().split()[1])
        assert after > 33
        assert page.locator(".stage video").count() == 0
        page.keyboard.press(".")
        at_frame(page, after + 1)
        page.keyboard.press("ArrowLeft")
        page.locator(".stage aside h2", has_text=f"Frame {after}").wait_for()
        page.locator(".stage img").wait_for()


def test_one_object_alone_and_no_masks_are_seen_in_the_film_too(browser: Any, filmed: Path) -> None:
    with opened(browser) as page:
        page.goto(f"file://{filmed}/{INDEX}#video=walk&frame=33")
        at_frame(page, 33)
        for _ in range(2):
            page.keyboard.press("m")
        page.get_by_role("button", name="Off", pressed=True).wait_for()
        page.wait_for_function(f"() => ({BEGIN})() === -1")


def test_a_film_that_is_missing_is_said(browser: Any, filmed: Path, tmp_path: Path) -> None:
    shutil.copytree(filmed, tmp_path / "to")
    (film,) = (tmp_path / "to/proxies").rglob("video.mp4")
    film.write_bytes(b"no film")
    with opened(browser) as page:
        page.goto(f"file://{tmp_path}/to/{INDEX}#video=walk&frame=33")
        page.locator(".note", has_text="cannot play the film").wait_for()
        page.keyboard.press("ArrowRight")
        page.locator(".stage img").wait_for()
