"""Heat maps: U of each pixel, of the committed masks alone."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from jobs.reports.destination import INDEX
from jobs.reports.heat import LEVELS, HeatMaps, heat_maps, ramp
from jobs.reports.report import write_report
from jobs.reports.reporter import Asked
from jobs.reviewing.same_run import SameRuns
from pipeline.errors import InvalidInput
from pipeline.input.manifest import PromptSource
from pipeline.input.objects import PromptObject
from pipeline.output.labels import committed_video
from pipeline.output.runs import read_run, run_ids, write_run
from pipeline.storage.store import Store
from tests.jobs.reports.browser import opened
from tests.jobs.reports.reading import video
from tests.pipeline.corpus import Corpus, segmented, write_corpus

TRAINED = "lite0-open"
SPAN = "span"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def made(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> str:
    tasks = [task for task in corpus.tasks if task.video_id in (SPAN, "two/objects")]
    return segmented(tasks, str(tmp_path_factory.mktemp("made") / "out"), TRAINED)


def masks_of(output: str, video_id: str) -> dict[int, dict[int, str]]:
    found: dict[int, dict[int, str]] = {}
    for row in committed_video(output, video_id).rows("masks", ["frame_index", "object_id", "rle"]):
        found.setdefault(row["frame_index"], {})[row["object_id"]] = row["rle"]
    return found


def test_a_map_has_the_mean_that_the_tables_have(made: str, corpus: Corpus) -> None:
    """Of the same frames, whose masks come out again to the pixel."""
    (task,) = (task for task in corpus.tasks if task.video_id == SPAN)
    committed, masks = committed_video(made, SPAN), masks_of(made, SPAN)
    means = {
        row["frame_index"]: row["uncertainty_mean"]
        for row in committed.rows("frames", ["frame_index", "uncertainty_mean"])
        if row["uncertainty_mean"] is not None
    }
    found = list(heat_maps(SameRuns(made, "cpu"), task, committed.size, masks))
    assert len(found) > 2 and {one.frame_index for one in found} == set(means)
    for one in found:
        assert one.different == 0 and one.valid
        assert one.u_hw.min() >= 0 and one.u_hw.max() <= 1
        assert float(one.u_hw.mean()) == pytest.approx(means[one.frame_index], abs=1e-4)


def test_masks_of_boxes_come_out_again_too(corpus: Corpus, tmp_path: Path) -> None:
    """What the network made of them in the run it makes of them again."""
    (span,) = (task for task in corpus.tasks if task.video_id == SPAN)
    frame_index = span.prompts[0].frame_index
    box = PromptSource(frame_index=frame_index, object_ids=(3,), objects=(PromptObject.of_box(3, (8, 6, 24, 20)),))
    task = replace(span, prompts=(box,))
    output = segmented([task], str(tmp_path / "out"), TRAINED)
    committed, masks = committed_video(output, SPAN), masks_of(output, SPAN)
    found = list(heat_maps(SameRuns(output, "cpu"), task, committed.size, masks))
    assert found and not any(one.different for one in found)


def test_a_report_has_a_map_beside_each_picture_that_was_predicted(made: str, corpus: Corpus, tmp_path: Path) -> None:
    written = write_report(made, str(tmp_path), Asked(manifest=corpus.manifest, heat=True, device="cpu"))
    shown = video(tmp_path, SPAN)["shown"]
    hot = [one for one in shown if one["heat"]]
    assert len(hot) == len(shown) - 1 and not shown[0]["heat"]  # nothing was predicted before the prompt
    assert written.heat_maps == sum(
        bool(one["heat"]) for name in (SPAN, "two/objects") for one in video(tmp_path, name)["shown"]
    )
    assert written.without_heat_maps == {} and len(video(tmp_path, SPAN)["ramp"]) == LEVELS
    for one in hot:
        picture = cv2.imread(str(tmp_path / one["picture"]))
        heat = cv2.imread(str(tmp_path / one["heat"]), cv2.IMREAD_UNCHANGED)
        assert heat.shape[2] == 4
        assert heat.shape[1] / heat.shape[0] == pytest.approx(picture.shape[1] / picture.shape[0], rel=0.02)
        colours = {tuple(colour) for colour in ramp()[:, [2, 1, 0, 3]].tolist()}
        assert {tuple(colour) for colour in heat.reshape(-1, 4).tolist()} <= colours


def test_maps_of_other_masks_are_left_out_and_the_page_says_so(made: str, corpus: Corpus, tmp_path: Path) -> None:
    (task,) = (task for task in corpus.tasks if task.video_id == SPAN)
    size, masks = committed_video(made, SPAN).size, masks_of(made, SPAN)
    first, *others = sorted(masks)
    swapped: Mapping[int, dict[int, str]] = {first: masks[first], others[0]: {}, others[1]: masks[others[1]]}
    written, problem = HeatMaps(made, "cpu").put(Store(str(tmp_path)), "s", task, size, swapped)
    assert written == [others[1]]
    assert problem and "differently" in problem and "%" in problem


def test_weights_that_are_gone_cost_the_maps_alone(made: str, corpus: Corpus, tmp_path: Path) -> None:
    store = Store(made)
    (run_id,) = run_ids(store)
    known = read_run(store, run_id)
    write_run(store, replace(known, config={**known.config, "checkpoint": "/gone.safetensors"}))
    try:
        written = write_report(made, str(tmp_path), Asked(manifest=corpus.manifest, heat=True))
    finally:
        write_run(store, known)
    assert written.pictures > 0 and written.heat_maps == 0
    assert "gone.safetensors" in written.without_heat_maps[SPAN]
    page = video(tmp_path, SPAN)
    assert page["ramp"] is None and "gone.safetensors" in page["without_heat"]


@pytest.mark.browser
def test_the_page_shows_maps_among_the_looks(browser: Any, made: str, corpus: Corpus, tmp_path: Path) -> None:
    write_report(made, str(tmp_path), Asked(manifest=corpus.manifest, heat=True, device="cpu"))
    first, second, *_ = (one["frame"] for one in video(tmp_path, SPAN)["shown"])
    with opened(browser) as page:
        page.goto(f"file://{tmp_path}/{INDEX}#video={SPAN}&frame={second}")
        chosen = page.get_by_role("button", name="Heat map")
        chosen.wait_for()
        assert page.locator(".stage img.heat").count() == 0
        for _ in range(4):
            page.keyboard.press("m")
            if chosen.get_attribute("aria-pressed") == "true":
                break
        heat = page.locator(".stage img.heat")
        assert heat.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
        assert heat.bounding_box() == page.locator(".stage img").first.bounding_box()
        assert page.get_by_label("Uncertainty of pixels from 0 to 1").is_visible()
        page.keyboard.press("ArrowLeft")
        assert page.locator(".stage aside h2").inner_text().startswith(f"Frame {first}")
        assert page.locator(".stage img.heat").count() == 0
        assert "no heat map of this frame" in page.locator(".stage figcaption").inner_text()


def test_it_stops_within_a_video(made: str, corpus: Corpus, tmp_path: Path) -> None:
    asked = Asked(manifest=corpus.manifest, heat=True, device="cpu")
    with pytest.raises(KeyboardInterrupt):
        write_report(made, str(tmp_path), asked, stop=lambda: True)
    assert not list(tmp_path.rglob("*.heat.png")) and not (tmp_path / INDEX).exists()


@pytest.mark.parametrize("asked", [Asked(heat=True), Asked(heat=True, manifest="m.jsonl", spaced=0)])
def test_maps_need_pictures(made: str, tmp_path: Path, asked: Asked) -> None:
    with pytest.raises(InvalidInput, match="--manifest"):
        write_report(made, str(tmp_path), asked)


def test_the_ramp_goes_from_clear_to_bright() -> None:
    colours = ramp().astype(int)
    assert colours[0, 3] == 0 and (np.diff(colours[:, 3]) >= 0).all() and 200 < colours[-1, 3] < 255
    brightness = colours[:, :3] @ [0.3, 0.6, 0.1]
    assert (np.diff(brightness) > 0).all() and brightness[-1] - brightness[0] > 150
