import json
from pathlib import Path

import numpy as np
import pytest

from jobs.reports.destination import INDEX
from jobs.reports.judging import judging
from jobs.reports.report import write_report
from jobs.reports.reporter import Asked
from jobs.reviewing.quality import load_model
from jobs.reviewing.queue import Budget
from pipeline.errors import InvalidOutput
from pipeline.output import rle
from pipeline.output.batches import write_rows
from pipeline.output.marker import claim_output
from pipeline.storage.store import Store
from tests.jobs.exports.outputs import FOLDER, UNICODE, Output, put_video, walk
from tests.jobs.reports.reading import summary, values, video
from tests.pipeline.output.test_schema import FAILURE


def test_it_holds_pages_data_and_pictures(report: Path, output: Output) -> None:
    assert (report / INDEX).exists()
    for asset in ("data.js", "base.css", "vendor/uPlot.iife.min.js", "vendor/uPlot.LICENSE"):
        assert (report / "assets" / asset).stat().st_size > 0
    assert summary(report)["videos"]["id"] == sorted([FOLDER, UNICODE])
    shown = video(report, FOLDER)["shown"]
    assert [one["frame"] for one in shown] == list(range(6))
    assert all((report / one["picture"]).stat().st_size > 0 for one in shown)


def test_every_page_names_files_that_are_there(report: Path) -> None:
    text = (report / INDEX).read_text()
    named = [part.split('"')[0] for part in text.replace("src=", "href=").split('href="')[1:]]
    assert len(named) > 15
    assert [name for name in named if not (report / name).exists()] == []


def test_masks_are_those_of_the_tables(report: Path, output: Output) -> None:
    for one in video(report, FOLDER)["shown"]:
        for mask in one["objects"]:
            found = rle.decode(mask["rle"], 47, 61)
            truth = output.truth.get((FOLDER, one["frame"], mask["id"]), np.zeros((47, 61), bool))
            np.testing.assert_array_equal(found, truth)
            assert mask["area"] == truth.sum()


def test_events_are_marks_and_reasons(report: Path) -> None:
    page = video(report, FOLDER)
    assert page["marks"] == [[3, "lost", 300], [5, "found", 300]]
    assert [one["why"] for one in page["shown"]][3:6:2] == [["lost"], ["found"]]


def test_a_span_of_a_video_file_has_its_own_frames(report: Path) -> None:
    page = video(report, UNICODE)
    assert page["frame"] == [2, 3, 4, 5]
    assert [one["picture"] is not None for one in page["shown"]] == [True] * 4


def test_values_are_those_of_the_tables(report: Path) -> None:
    page = video(report, FOLDER)
    assert [one["id"] for one in page["objects"]] == [1, 3, 300]
    assert page["objects"][1]["uncertainty"] == [None, None, 0.1, 0.1, 0.1, 0.1]
    assert page["objects"][2]["area"] == [289, 289, 289, 0, 0, 289]
    row = {name: column[1] for name, column in summary(report)["videos"].items()}
    assert (row["frames"], row["objects"], row["object_frames"], row["lost"]) == (6, 3, 16, 1)


def test_without_a_manifest_curves_stay_and_the_page_says_so(output: Output, tmp_path: Path) -> None:
    written = write_report(output.url, str(tmp_path), Asked())
    assert (written.videos, written.pictures) == (2, 0)
    page = video(tmp_path, FOLDER)
    assert "--manifest" in page["without_pictures"]
    assert {one["picture"] for one in page["shown"]} == {None}
    assert page["objects"][0]["area"][0] > 0


def test_a_video_that_is_gone_costs_its_own_pictures_alone(output: Output, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in Path(output.manifest).read_text().splitlines()]
    for row in rows:
        row["video_uri"] = str(Path(output.manifest).parent / row["video_uri"])
    rows[1]["video_uri"] = str(tmp_path / "gone.mp4")
    (tmp_path / "manifest.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    written = write_report(output.url, str(tmp_path / "to"), Asked(manifest=str(tmp_path / "manifest.jsonl")))
    assert list(written.without_pictures) == [UNICODE]
    assert "gone.mp4" in video(tmp_path / "to", UNICODE)["without_pictures"]
    assert video(tmp_path / "to", FOLDER)["without_pictures"] is None


def test_a_manifest_without_the_video_is_said(output: Output, tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").write_text(Path(output.manifest).read_text().splitlines()[1])
    write_report(output.url, str(tmp_path / "to"), Asked(manifest=str(tmp_path / "manifest.jsonl")))
    assert "no row" in video(tmp_path / "to", FOLDER)["without_pictures"]


def test_what_is_expected_and_queued_is_in_it(output: Output, tmp_path: Path) -> None:
    with judging(output.url, load_model(), Budget.of("3")) as judged:
        assert 0 < len(judged.items) <= 3
        write_report(output.url, str(tmp_path), Asked(), judge=judged.of, items=judged.items)
    worst = judged.items[0]
    page = video(tmp_path, worst.video_id)
    (found,) = (one for one in page["shown"] if one["frame"] == worst.frame_index)
    assert "to review" in found["why"]
    (mask,) = (one for one in found["objects"] if one["id"] == worst.object_id)
    assert mask["expected_j"] == pytest.approx(worst.expected_j, abs=1e-3)
    assert summary(tmp_path)["review"] == len(judged.items)
    assert summary(tmp_path)["health"]["judged"] == len(output.truth) + 2  # two where 300 is away


def test_failures_without_a_result_are_rows(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "out"))
    claim_output(store)
    write_rows(store, "failures", "1", [FAILURE, {**FAILURE, "video_id": "w", "cause": "Stalled"}])
    with judging(store.url, load_model(), Budget.of("5%")) as judged:
        written = write_report(store.url, str(tmp_path / "to"), Asked(), judge=judged.of, items=judged.items)
    assert (written.videos, written.failed) == (0, 2)
    found = summary(tmp_path / "to")
    assert found["videos"]["status"] == ["failed", "failed"]
    assert found["health"]["causes"] == {"UnreadableVideo": 1, "Stalled": 1}


def test_an_empty_output_has_a_report(tmp_path: Path) -> None:
    claim_output(Store(str(tmp_path / "out")))
    assert write_report(str(tmp_path / "out"), str(tmp_path / "to"), Asked(price_per_hour=1.0)).videos == 0
    assert summary(tmp_path / "to")["videos"]["id"] == []


def test_a_folder_that_holds_something_is_refused(output: Output, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InvalidOutput, match=r"not empty \(it holds mine.txt\)"):
        write_report(output.url, str(tmp_path), Asked())
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_folder_that_is_no_output_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidOutput, match="no vos-batch output"):
        write_report(str(tmp_path / "out"), str(tmp_path / "to"), Asked())
    assert not (tmp_path / "to").exists()


def test_an_interrupted_report_has_no_first_page(output: Output, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_report(output.url, str(tmp_path), Asked(), stop=lambda: True)
    assert not (tmp_path / INDEX).exists()


def test_it_is_written_to_any_store() -> None:
    source, target = Store("memory://report-of/out"), Store("memory://report-of/to")
    claim_output(source)
    put_video(source, "walk", walk())
    write_report(source.url, target.url, Asked())
    assert target.get(INDEX).startswith(b"<!doctype html>")
    (found,) = values(target.get("data/summary.js"))
    assert found["videos"]["id"] == ["walk"]
