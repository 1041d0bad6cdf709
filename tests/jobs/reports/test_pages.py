"""The pages in a browser, from a disk and over HTTP."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco

from jobs.reports.destination import INDEX, put_assets, put_page
from jobs.reports.health import health_of
from jobs.reports.report import write_report
from jobs.reports.reporter import Asked
from jobs.reports.scripts import data_script
from jobs.reports.videos import VideoRow, columns_of
from pipeline.output.batches import write_rows
from pipeline.output.marker import claim_output
from pipeline.output.schema import SCHEMAS
from pipeline.storage.store import Store
from tests.jobs.exports.outputs import FOLDER, UNICODE, box, put_video, walk
from tests.jobs.reports.browser import opened, served
from tests.pipeline.output.test_schema import FAILURE

pytestmark = pytest.mark.browser

MARKUP = "<script>window.planted = 1</script><img src=x onerror='window.planted = 1'>\u2028\"&amp;'</title>"


@pytest.fixture(params=["file", "http"])
def address(request: pytest.FixtureRequest, report: Path) -> Iterator[str]:
    """Where the report is opened from."""
    if request.param == "file":
        yield f"file://{report}/{INDEX}"
    else:
        with served(report) as url:
            yield f"{url}/{INDEX}"


def test_run_lengths_are_decoded_as_by_pycocotools(browser: Any, report: Path) -> None:
    numbers = np.random.default_rng(3)
    masks = [numbers.random((17, 23)) < share for share in (0, 0.02, 0.5, 1)]
    masks += [
        box(300, 200, 40, 20, 250, 190),
        box(1, 9, 0, 3, 1, 9),
        box(9, 1, 2, 0, 9, 1),
        box(500, 700, 0, 0, 500, 1),
    ]
    with opened(browser) as page:
        page.goto(f"file://{report}/{INDEX}")
        for mask in masks:
            counts = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
            found = page.evaluate("([rle, h, w]) => Array.from(vosBatch.rle.decode(rle, h, w))", [counts, *mask.shape])
            np.testing.assert_array_equal(np.array(found, bool).reshape(mask.shape), mask)


def test_masks_are_painted_where_they_are(browser: Any, report: Path) -> None:
    mask = box(40, 60, 10, 20, 30, 50)
    counts = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    paint = """([rle, fill, line]) => {
        const canvas = Object.assign(document.createElement("canvas"), { width: 120, height: 80 });
        vosBatch.masks.paint(canvas, [{ rle, colour: "#ff0080" }], { width: 60, height: 40 }, { fill, line });
        return Array.from(canvas.getContext("2d").getImageData(0, 0, 120, 80).data);
    }"""
    with opened(browser) as page:
        page.goto(f"file://{report}/{INDEX}")
        rgba = np.array(page.evaluate(paint, [counts, 0.5, 2])).reshape(80, 120, 4)
    inside = np.kron(mask, np.ones((2, 2), bool))
    assert (rgba[~inside] == 0).all()
    assert rgba[40, 70].tolist() == [255, 0, 128, 128]
    assert rgba[20, 70].tolist() == rgba[21, 70].tolist() == [255, 0, 128, 255]
    assert rgba[22, 70, 3] == 128


def test_one_clicks_from_the_table_to_a_frame_and_back(browser: Any, address: str) -> None:
    with opened(browser) as page:
        page.goto(address)
        assert page.get_by_role("row").count() == 3
        assert "Cost of 1,000 masks" in page.locator(".figures").inner_text()
        page.get_by_role("link", name=FOLDER).click()
        page.get_by_role("heading", name=FOLDER).wait_for()
        shown = page.locator(".stage img")
        assert shown.evaluate("image => image.decode().then(() => [image.naturalWidth, image.naturalHeight])") == [
            61,
            47,
        ]
        assert painted(page, ".stage canvas") > 0
        frames = page.locator(".filmstrip button")
        assert frames.count() == 6
        frames.nth(2).click()
        assert page.locator(".stage aside h2").inner_text().startswith("Frame 2")
        page.keyboard.press("ArrowRight")
        assert page.locator(".stage aside h2").inner_text().startswith("Frame 3")
        page.get_by_role("button", name="frame 5: object 300 found").click()
        assert page.locator(".stage aside h2").inner_text().startswith("Frame 5")
        assert page.locator(".plot").count() == 4
        page.keyboard.press("]")
        page.get_by_role("heading", name=UNICODE).wait_for()
        page.keyboard.press("Escape")
        page.get_by_role("link", name=FOLDER).wait_for()


def test_a_click_on_a_curve_shows_the_frame(browser: Any, address: str) -> None:
    with opened(browser, height=1400) as page:
        page.goto(f"{address}#video={FOLDER}&frame=0")
        assert page.locator(".stage aside h2").inner_text().startswith("Frame 0")
        over = page.locator(".plot .u-over").first
        over.click(position={"x": over.bounding_box()["width"] * 0.79, "y": 20})
        assert page.locator(".stage aside h2").inner_text().startswith("Frame 4")
        over.hover(position={"x": 2, "y": 20})
        assert "frame 0" in page.locator(".readout").first.inner_text()
        assert "frame 0" in page.locator(".readout").last.inner_text()  # all curves follow


def painted(page: Any, canvas: str) -> int:
    """Pixels of a canvas that are not clear, once it has some."""
    page.wait_for_function("selector => document.querySelector(selector).width > 1", arg=canvas)
    return page.evaluate(
        """selector => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => {
            const found = document.querySelector(selector);
            const copy = Object.assign(document.createElement("canvas"), { width: found.width, height: found.height });
            const context = copy.getContext("2d", { willReadFrequently: true });
            context.drawImage(found, 0, 0);
            const { data } = context.getImageData(0, 0, copy.width, copy.height);
            resolve(data.filter((value, at) => at % 4 === 3 && value).length);
        })))""",
        canvas,
    )


def test_one_object_alone_and_no_mask(browser: Any, report: Path) -> None:
    with opened(browser) as page:
        page.goto(f"file://{report}/{INDEX}#video={FOLDER}&frame=2")
        page.locator(".objects").wait_for()
        everything = painted(page, ".stage canvas")
        page.get_by_role("button", name="300", exact=True).click()
        alone = painted(page, ".stage canvas")
        assert 0 < alone < everything
        for _ in range(2):
            page.keyboard.press("m")
        assert painted(page, ".stage canvas") == 0


def many(count: int) -> list[VideoRow]:
    numbers = random.Random(5)
    return [
        VideoRow(
            id=f"clip {number:05d}",
            file=f"clip-{number:05d}",
            status="complete" if number % 50 else "truncated",
            frames=numbers.randrange(30, 3000),
            objects=numbers.randrange(1, 9),
            object_frames=1000,
            width=1920,
            height=1080,
            expected_j=round(numbers.betavariate(6, 2), 4),
            worst_j=round(numbers.betavariate(2, 3), 4),
            bad=numbers.randrange(100),
            judged=1000,
            uncertainty=round(numbers.random() / 5, 4),
            peak=round(numbers.random(), 4),
            lost=numbers.randrange(4),
            cuts=numbers.randrange(3),
            frames_per_s=numbers.uniform(0.5, 20),
            trace="".join(numbers.choice("0123456789abcdefghijklmnopqrstuvwxyz.") for _ in range(48)),
        )
        for number in range(count)
    ]


def put_many(folder: Path, rows: list[VideoRow]) -> None:
    store = Store(str(folder))
    put_assets(store)
    summary = {
        "version": 1,
        "output": "s3://bucket/output",
        "made_at": "2026-01-02T03:04:05+00:00",
        "code_version": "0.1.0",
        "review": None,
        "health": health_of(SCHEMAS["videos"].empty_table(), [], rows, None),
        "videos": columns_of(rows),
    }
    store.put("data/summary.js", data_script("summary", summary))
    put_page(store, INDEX)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    put_many(folder, many(10_000))
    return folder


def test_ten_thousand_videos_are_there_within_two_seconds(browser: Any, large: Path) -> None:
    with opened(browser) as page:
        spent = processor_time(page)
        page.goto(f"file://{large}/{INDEX}", wait_until="commit")
        page.get_by_role("row").nth(20).wait_for()
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert spent() < 2
        assert page.get_by_role("row").count() < 100
        assert page.get_by_role("table").get_attribute("aria-rowcount") == "10001"


def test_of_ten_thousand_rows_those_in_view_are_drawn(browser: Any, large: Path) -> None:
    worst = [row.id for row in sorted(many(10_000), key=lambda row: (row.expected_j or 0, row.id))]
    with opened(browser) as page:
        page.goto(f"file://{large}/{INDEX}")
        page.get_by_role("link", name=worst[0]).wait_for()
        assert page.get_by_role("link", name=worst[0]).bounding_box()["width"] > 50
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        page.get_by_role("link", name=worst[-1]).wait_for()
        page.evaluate("scrollTo(0, 32 * 5000)")
        page.get_by_role("link", name=worst[5000]).wait_for()
        assert page.get_by_role("row").count() < 100


def test_scrolling_ten_thousand_rows_costs_little_a_frame(browser: Any, large: Path) -> None:
    with opened(browser) as page:
        page.goto(f"file://{large}/{INDEX}")
        page.get_by_role("row").nth(20).wait_for()
        spent = processor_time(page)
        page.evaluate(
            """async () => {
                for (let step = 1; step <= 50; step++) {
                    scrollTo(0, 800 * step);
                    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
                }
            }"""
        )
        assert spent() / 50 < 0.05


def processor_time(page: Any) -> Callable[[], float]:
    """Seconds of a processor that the page's main thread takes from now on: what others do meanwhile does not count."""
    client = page.context.new_cdp_session(page)
    client.send("Performance.enable", {"timeDomain": "threadTicks"})

    def total() -> float:
        metrics = client.send("Performance.getMetrics")["metrics"]
        return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")

    before = total()
    return lambda: total() - before


def test_videos_are_sorted_and_filtered(browser: Any, large: Path) -> None:
    rows = many(10_000)
    with opened(browser) as page:
        page.goto(f"file://{large}/{INDEX}")
        page.get_by_role("button", name="Frames", exact=True).click()
        longest = max(rows, key=lambda row: (row.frames or 0, [-ord(c) for c in row.id]))
        assert page.locator("tbody tr").nth(0).get_by_role("link").inner_text() == longest.id
        assert page.locator("th[aria-sort=descending]").inner_text().startswith("Frames")
        page.keyboard.press("/")
        page.keyboard.type("CLIP 0012")
        assert page.get_by_role("status").inner_text() == "10 of 10,000 videos"
        page.get_by_role("button", name="truncated").click()
        assert page.get_by_role("status").inner_text() == "0 of 10,000 videos"
        page.get_by_label("Find a video").fill("")
        assert page.get_by_role("status").inner_text() == "200 of 10,000 videos"
        page.get_by_label("How bad").select_option("worst_j<0.5")
        wanted = sum(row.status == "truncated" and (row.worst_j or 0) < 0.5 for row in rows)
        assert page.get_by_role("status").inner_text() == f"{wanted} of 10,000 videos"


def test_what_an_id_holds_never_runs(browser: Any, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "out"))
    claim_output(store)
    put_video(store, MARKUP, walk(3))
    write_rows(store, "failures", "1", [{**FAILURE, "video_id": f"{MARKUP}2", "message": MARKUP, "cause": MARKUP}])
    write_report(store.url, str(tmp_path / "to"), Asked())
    with opened(browser) as page:
        page.goto(f"file://{tmp_path}/to/{INDEX}")
        assert page.get_by_role("link", name=MARKUP, exact=True).inner_text().startswith("<script>window.planted")
        page.locator("tbody a").filter(has_text="</title>").first.click()
        page.locator(".stage").wait_for()
        assert page.locator("h1").inner_text().startswith("<script>")
        page.keyboard.press("]")
        page.get_by_text("This video has no result").wait_for()
        assert page.evaluate("window.planted") is None


@pytest.mark.parametrize("failed", [0, 2])
def test_an_output_without_a_result_has_a_page(browser: Any, tmp_path: Path, failed: int) -> None:
    store = Store(str(tmp_path / "out"))
    claim_output(store)
    for number in range(failed):
        write_rows(store, "failures", str(number), [{**FAILURE, "video_id": f"v{number}"}])
    write_report(store.url, str(tmp_path / "to"), Asked(price_per_hour=3.0))
    with opened(browser) as page:
        page.goto(f"file://{tmp_path}/to/{INDEX}")
        assert page.locator("tbody a").count() == failed
        if failed:
            assert "UnreadableVideo" in page.locator(".causes").inner_text()
        else:
            page.get_by_text("This output holds no video yet").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_system_and_the_button(browser: Any, report: Path, scheme: str) -> None:
    def is_dark() -> bool:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(json.loads(f"[{colour[4:-1]}]")) < 3 * 128

    with opened(browser, scheme=scheme) as page:
        page.goto(f"file://{report}/{INDEX}")
        button = page.get_by_role("button", name="Theme")
        assert is_dark() == (scheme == "dark")
        button.click()
        assert not is_dark()
        button.click()
        assert is_dark()
        page.reload()
        assert is_dark()


@pytest.mark.parametrize("address", ["", f"#video={FOLDER}"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_and_everything_has_a_name(browser: Any, report: Path, address: str, scheme: str) -> None:
    with opened(browser, scheme=scheme) as page:
        page.goto(f"file://{report}/{INDEX}{address}")
        page.locator("tbody tr").first.wait_for()
        assert page.evaluate(FAINT) == []
        assert page.evaluate(NAMELESS) == []


@pytest.mark.parametrize("address", ["", f"#video={FOLDER}"])
def test_a_narrow_window_is_never_scrolled_sideways(browser: Any, report: Path, address: str) -> None:
    with opened(browser, width=400, height=800) as page:
        page.goto(f"file://{report}/{INDEX}{address}")
        page.locator("tbody tr").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 400


FAINT = """() => {
  // Text with less than 4.5 : 1 against what lies behind it (WCAG AA).
  const part = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const rgba = (text) => text.match(/[\\d.]+/g).map(Number);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const faint = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || !element.checkVisibility() || element.closest("[disabled], [aria-disabled]")) continue;
    const [x, y] = [light(rgba(getComputedStyle(element).color)), light(behind(element))];
    const contrast = (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
    if (contrast < 4.5) faint.add(`${text.slice(0, 30)} ${contrast.toFixed(2)}`);
  }
  return [...faint];
}"""
NAMELESS = """() => [...document.querySelectorAll("button, a, input, select, [role=img]")]
  .filter((one) => !(one.textContent.trim() || one.getAttribute("aria-label")))
  .map((one) => one.outerHTML.slice(0, 80))"""
