"""The review page in a browser: decided on by keys alone, kept, undone, saved, and taken over by the next run."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from jobs.cli import app
from jobs.datasets.decisions import read_decisions
from jobs.pictures.encode import encode_png
from jobs.pictures.mp4 import write_mp4
from jobs.reports.destination import REVIEW
from jobs.reports.report import write_report
from jobs.reports.reporter import Asked
from model.synthetic import make_clip
from pipeline.output.labels import committed_video
from pipeline.output.marker import claim_output
from pipeline.storage.store import Store
from tests.jobs.exports.outputs import box, put_video, walk
from tests.jobs.reports.browser import opened, served
from tests.jobs.reports.items import Item, all_of, item
from tests.jobs.reports.test_pages import FAINT, NAMELESS
from tests.pipeline.media import write_frames

pytestmark = pytest.mark.browser

CLIP, FRAMES = "clip", 26
PAGE, PAGES = 50, 2
MARKUP = "<script>window.planted = 1</script><img src=x onerror='window.planted = 1'>"


@pytest.fixture(scope="module")
def asked() -> list[Item]:
    """More than a page of them."""
    return [*all_of("b", range(30), [1, 300])[::-1], item(MARKUP, 2, 3)]


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory, asked: list[Item]) -> Path:
    """A report of two videos, of which one has pictures."""
    folder = tmp_path_factory.mktemp("reviewed")
    store = Store(str(folder / "out"))
    claim_output(store)
    names = [f"{t:02}.png" for t in range(30)]
    put_video(store, "b", walk(30), names=names)
    put_video(store, MARKUP, walk(4))
    pictures = [np.full((47, 61, 3), 8 * t, np.uint8) for t in range(30)]
    write_frames(folder / "pictures", pictures, ".png")
    row = {"video_id": "b", "video_uri": "pictures", "mask_uri": "none.png", "mask_frame": 0}
    (folder / "manifest.jsonl").write_text(json.dumps(row))
    write_report(store.url, str(folder / "to"), Asked(manifest=str(folder / "manifest.jsonl")), items=asked)
    return folder / "to"


@pytest.fixture(params=["file", "http"])
def address(request: pytest.FixtureRequest, reviewed: Path) -> Iterator[str]:
    if request.param == "file":
        yield f"file://{reviewed}/{REVIEW}"
    else:
        with served(reviewed) as url:
            yield f"{url}/{REVIEW}"


def visit(page: Any, where: str | Path) -> None:
    page.goto(where if isinstance(where, str) else f"file://{where}/{REVIEW}")
    page.locator(".cards .card").first.wait_for()


def names(page: Any) -> list[str]:
    """What a screen reader calls the cards, up to what was decided."""
    labels = page.locator(".ask").evaluate_all("cards => cards.map(card => card.getAttribute('aria-label'))")
    return [label.split(":")[0] for label in labels]


def said(page: Any) -> str:
    return page.locator(".said").inner_text()


def focused(page: Any) -> str:
    return page.evaluate("document.activeElement.getAttribute('aria-label')").split(":")[0]


def press(page: Any, keys: str) -> None:
    for key in keys.split():
        page.keyboard.press(key)


def saved(page: Any, folder: Path) -> Path:
    """Save by the key."""
    with page.expect_download() as download:
        page.keyboard.press("s")
    assert download.value.suggested_filename == "decisions.json"
    download.value.save_as(folder / "decisions.json")
    return folder / "decisions.json"


def name_of(one: Item) -> str:
    return f"video {one.video_id}, frame {one.frame_index}, object {one.object_id}"


def test_cards_are_never_reshuffled(browser: Any, address: str, asked: list[Item]) -> None:
    with opened(browser) as page:
        visit(page, address)
        wanted = [name_of(one) for one in asked[:PAGE]]
        assert names(page) == wanted
        press(page, "r u a ArrowRight r z a")
        assert names(page) == wanted
        page.reload()
        page.locator(".cards .card").first.wait_for()
        assert names(page) == wanted
        assert page.locator(".progress").inner_text().startswith("4 of 61 decided")
        assert focused(page) == wanted[3]  # where one stopped


def test_fifty_crops_are_reviewed_by_keys_and_the_next_run_takes_the_decisions(browser: Any, tmp_path: Path) -> None:
    """From a generated clip through report, review and correction to the masks of the run after."""
    clip = make_clip(3, num_frames=FRAMES, height=96, width=128, num_objects=2)
    (tmp_path / "clips").mkdir()
    write_mp4(tmp_path / f"clips/{CLIP}.mp4", clip.frames, fps=12)
    (tmp_path / f"clips/{CLIP}.png").write_bytes(encode_png(clip.labels[0]))
    manifest, output, report = (str(tmp_path / name) for name in ("m.jsonl", "out", "report"))
    run("manifest", "build", "--layout", "pairs", str(tmp_path / "clips"), "--output", manifest)
    segment(manifest, output)
    before = masks(output)
    items = all_of(CLIP, range(1, FRAMES), [1, 2])
    assert len(items) == PAGE
    write_report(output, report, Asked(manifest=manifest), items=items)

    with opened(browser) as page:
        visit(page, Path(report))
        for number in range(PAGE):
            page.keyboard.press("r" if number == 9 else "u" if number % 3 else "a")
        assert "50 of 50 decided" in page.locator(".progress").inner_text()
        decisions = saved(page, tmp_path)

    found = read_decisions(str(decisions))
    choices = ["reject" if number == 9 else "unsure" if number % 3 else "accept" for number in range(PAGE)]
    assert [one.decision for one in found.decisions] == choices
    new = str(tmp_path / "new.jsonl")
    told = run("manifest", "correct", manifest, "--from", str(decisions), "--layout", "decisions", "--run", output,
               "--output", new)  # fmt: skip
    assert "left to draw anew: 33 objects" in " ".join(told.split())
    segment(new, output)
    after = masks(output)
    for one, choice in zip(items, choices, strict=True):
        then, now = (labels[one.frame_index] == one.object_id for labels in (before, after))
        if choice == "accept":
            assert np.array_equal(then, now)
        elif choice == "reject":
            assert then.any() and not now.any()
    prompted = committed_video(output, CLIP).frames(["frame_index", "prompted"]).to_pylist()
    decided = {one.frame_index for one, choice in zip(items, choices, strict=True) if choice != "unsure"}
    assert {row["frame_index"] for row in prompted if row["prompted"]} == {0, *decided}


def run(*arguments: str) -> str:
    """A command, which succeeds; what it said."""
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


def segment(manifest: str, output: str) -> None:
    run("segment", manifest, output, "--pool", "local", "--workers", "1", "--device", "cpu")


def masks(output: str) -> list[Any]:
    """Label maps of all frames."""
    return [frame.labels for frame in committed_video(output, CLIP).labels(range(FRAMES))]


def test_arrows_go_through_the_grid_and_keys_act_on_the_card_in_focus(browser: Any, reviewed: Path) -> None:
    with opened(browser, width=1000) as page:
        visit(page, reviewed)
        order = names(page)
        tops = page.locator(".cards .card").evaluate_all("cards => cards.map(card => card.offsetTop)")
        columns = tops.count(tops[0])
        ways = {"ArrowRight ArrowRight": 2, "ArrowDown": 2 + columns, "ArrowLeft": 1 + columns, "ArrowUp": 1}
        edges = {"End": PAGE - 1, "End ArrowRight": PAGE - 1, "Home": 0, "Home ArrowUp": 0}
        for keys, at in {**ways, **edges}.items():
            press(page, keys)
            assert focused(page) == order[at]
        press(page, "a")
        assert said(page) == f"accepted: {order[0]}; 1 of 61 decided"
        assert focused(page) == order[1]
        press(page, "Home n")
        assert focused(page) == order[1]
        press(page, "Home Backspace")
        assert said(page) == f"not decided: {order[0]}; 0 of 61 decided"


def test_the_rest_of_a_page_is_decided_at_once_and_undone(browser: Any, reviewed: Path) -> None:
    with opened(browser) as page:
        visit(page, reviewed)
        press(page, "r u Shift+A")
        assert said(page) == "48 cards accepted; Z takes that back"
        assert page.locator(".tally").all_inner_texts() == ["48 accepted", "1 rejected", "1 unsure"]
        press(page, "z")
        assert said(page) == "Undone for 48 cards"
        press(page, "Control+z z z")
        assert said(page) == "Nothing to undo"
        assert page.locator(".progress").inner_text().startswith("0 of 61")
        page.locator(".rest").get_by_role("button", name="Unsure").click()
        assert page.locator(".tally").all_inner_texts() == ["0 accepted", "0 rejected", "50 unsure"]


def test_pages_are_turned_and_their_decisions_saved_together(
    browser: Any, reviewed: Path, tmp_path: Path, asked: list[Item]
) -> None:
    with opened(browser) as page:
        visit(page, reviewed)
        press(page, "a PageUp")
        assert said(page) == "This is the first page"
        press(page, "PageDown")
        page.locator(f"#card-{PAGE}:focus").wait_for()
        assert said(page) == "Page 2 of 2"
        assert names(page) == [name_of(one) for one in asked[PAGE:]]
        press(page, "End r")
        found = read_decisions(str(saved(page, tmp_path)))
        assert [(one.video_id, one.decision) for one in found.decisions] == [("b", "accept"), (MARKUP, "reject")]
        assert found.output == "out"
        assert page.evaluate("window.planted") is None


def test_saved_decisions_are_taken_over_by_another_browser(browser: Any, reviewed: Path, tmp_path: Path) -> None:
    with opened(browser) as page:
        visit(page, reviewed)
        press(page, "a r")
        path = saved(page, tmp_path)
    content = json.loads(path.read_text())
    content["decisions"].append({**content["decisions"][0], "identity": "of before"})
    path.write_text(json.dumps(content))
    (tmp_path / "other.json").write_text("{}")
    with opened(browser) as page:
        visit(page, reviewed)
        page.locator("input[type=file]").set_input_files(path)
        page.get_by_text("decisions.json: 2 decisions taken over, 1 are not on what is asked here").wait_for()
        assert page.locator(".verdict:not(:empty)").all_inner_texts() == ["accepted", "rejected"]
        page.locator("input[type=file]").set_input_files(tmp_path / "other.json")
        page.get_by_text("other.json was not read: it is no file of decisions").wait_for()


def shown(page: Any) -> int:
    """Place of the frame that the current card shows."""
    found = page.locator(".cards .current .track li").evaluate_all("frames => frames.map(frame => frame.className)")
    return found.index("now")


def test_the_frames_around_are_played_for_the_card_in_focus(browser: Any, reviewed: Path) -> None:
    with opened(browser) as page:
        visit(page, reviewed)
        press(page, "ArrowRight ArrowRight")
        page.locator(".cards .current .track .now:last-child").wait_for(state="attached")
        press(page, "Space")
        assert shown(page) == 2
    with opened(browser, motion="reduce") as page:
        visit(page, reviewed)
        press(page, "ArrowRight ArrowRight")
        page.wait_for_timeout(1500)
        assert shown(page) == 2


def test_one_looks_closer_and_without_outlines(browser: Any, reviewed: Path) -> None:
    with opened(browser) as page:
        visit(page, reviewed)
        side = "Number(document.querySelector('.crop svg').getAttribute('viewBox').split(' ')[2])"
        usual = page.evaluate(side)
        press(page, "+ +")
        assert page.evaluate(side) < usual
        press(page, "- - -")
        assert page.evaluate(side) > usual
        assert page.locator(".outline").count() >= PAGE
        press(page, "o")
        assert page.locator(".outline").count() == 0


def test_outlines_lie_where_masks_are(browser: Any, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "out"))
    claim_output(store)
    put_video(store, "v", [{1: box(200, 300, 60, 90, 100, 150)}])
    write_report(store.url, str(tmp_path / "to"), Asked(), items=[item("v", 0, 1)])
    with opened(browser) as page:
        visit(page, tmp_path / "to")
        path, svg = page.locator(".outline").bounding_box(), page.locator(".crop svg").bounding_box()
        scale = svg["width"] / 120  # twice the object's longer side
        assert abs(path["width"] - 60 * scale) < 4 + scale
        assert abs(path["x"] - svg["x"] - 30 * scale) < 4 + scale
        assert abs(path["height"] - 40 * scale) < 4 + scale


def test_without_pictures_it_is_said_why(browser: Any, reviewed: Path) -> None:
    with opened(browser) as page:
        visit(page, reviewed)
        press(page, "PageDown")
        page.locator(f"#card-{PAGE}:focus").wait_for()
        assert "no picture: made without --manifest" in page.locator(".cards .card").last.inner_text()


def test_a_browser_that_keeps_nothing_says_so(browser: Any, reviewed: Path, tmp_path: Path) -> None:
    with opened(browser) as page:
        page.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw new Error('none'); } })")
        visit(page, reviewed)
        press(page, "a")
        page.get_by_text("This browser keeps nothing for this page").wait_for()
        assert len(read_decisions(str(saved(page, tmp_path))).decisions) == 1


def test_two_windows_do_not_lose_what_the_other_decided(browser: Any, reviewed: Path) -> None:
    with opened(browser) as page:
        visit(page, reviewed)
        other = page.context.new_page()
        visit(other, reviewed)
        press(page, "a")
        other.get_by_text("1 of 61 decided").wait_for()
        press(other, "End r")
        page.get_by_text("2 of 61 decided").wait_for()


def test_buttons_do_what_keys_do(browser: Any, reviewed: Path) -> None:
    with opened(browser) as page:
        visit(page, reviewed)
        card = page.locator(".cards .card").nth(1)
        reject = card.get_by_role("button", name="Reject")
        reject.click()
        assert reject.get_attribute("aria-pressed") == "true"
        assert card.locator(".ask").get_attribute("aria-label").split(": ")[1].startswith("rejected")
        reject.click()
        assert reject.get_attribute("aria-pressed") == "false"
        press(page, "Tab Enter")
        assert card.locator(".verdict").inner_text() == "unsure"
        assert card.get_by_role("link").get_attribute("href") == "index.html#video=b&frame=29"
        page.get_by_text("Keys").click()
        assert "undo" in page.locator(".help dl").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_and_everything_has_a_name(browser: Any, reviewed: Path, scheme: str) -> None:
    with opened(browser, scheme=scheme, motion="reduce") as page:  # a button that is becoming another is faint
        visit(page, reviewed)
        press(page, "a r u")
        assert page.evaluate(FAINT) == []
        assert page.evaluate(NAMELESS) == []


def test_a_narrow_window_is_never_scrolled_sideways(browser: Any, reviewed: Path) -> None:
    with opened(browser, width=400, height=800) as page:
        visit(page, reviewed)
        assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_paper_has_cards_and_what_was_decided(browser: Any, reviewed: Path) -> None:
    with opened(browser) as page:
        visit(page, reviewed)
        press(page, "a")
        page.emulate_media(media="print")
        assert not page.locator(".tools").is_visible()
        assert page.locator(".verdict").first.is_visible()
        assert page.locator(".cards .card").nth(PAGE - 1).is_visible()


def test_nothing_to_review_is_said(browser: Any, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "out"))
    claim_output(store)
    write_report(store.url, str(tmp_path / "to"), Asked(), items=[])
    with opened(browser) as page:
        page.goto(f"file://{tmp_path}/to/{REVIEW}")
        page.get_by_text("There is nothing to review.").wait_for()
