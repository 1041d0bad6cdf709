import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.exports import export as exporting
from jobs.exports.destination import MARKER
from jobs.exports.export import export
from jobs.exports.losses import Loss
from jobs.exports.pictures import Frames
from jobs.exports.plan import Asked
from jobs.exports.registry import FORMATS
from jobs.exports.video import Selection
from pipeline.errors import InvalidInput, InvalidOutput, UnreadableVideo
from pipeline.output.layout import safe_name
from pipeline.output.marker import claim_output
from pipeline.run.progress import Progress
from pipeline.storage.store import Store
from tests.jobs.exports.outputs import FOLDER, SLASH, UNICODE, Output, exported, noisy, put_video, walk

ALL = Asked(selection=Selection())
TEXT = [name for name, one in FORMATS.items() if one.pictures and name != "hf"]


def files(to: Path) -> dict[str, bytes]:
    """All but the marker; the names alone of what holds the clock (.rrd) or depends on threads of x264 (.mp4)."""
    return {
        path.relative_to(to).as_posix(): b"" if path.suffix in (".rrd", ".mp4") else path.read_bytes()
        for path in to.rglob("*")
        if path.is_file() and path.name != MARKER
    }


@pytest.mark.parametrize("name", FORMATS)
def test_a_finished_export_says_so_and_leaves_nothing_else(output: Output, tmp_path: Path, name: str) -> None:
    written = exported(output, name, tmp_path / "to", manifest=output.manifest)
    marker = json.loads((tmp_path / "to" / MARKER).read_text())
    assert marker["finished"]
    assert marker["written"] == written.content()
    assert (written.videos, written.frames, written.object_frames) == (2, 10, 18)
    assert [path for path in (tmp_path / "to/_export").glob("*") if path.is_file()] == []


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_that_was_broken_off_goes_on(output: Output, tmp_path: Path, name: str) -> None:
    asked = replace(ALL, manifest=output.manifest)
    whole = export(output.url, name, str(tmp_path / "whole"), asked, workers=1)
    with pytest.raises(KeyboardInterrupt):
        export(output.url, name, str(tmp_path / "broken"), asked, workers=1, stop=_after(1))
    assert not json.loads((tmp_path / "broken" / MARKER).read_text())["finished"]
    begun: list[Progress] = []
    again = export(output.url, name, str(tmp_path / "broken"), asked, workers=1, on_progress=begun.append)
    assert len(begun) == 1
    assert again == whole
    assert files(tmp_path / "broken") == files(tmp_path / "whole")


def _after(calls: int) -> Callable[[], bool]:
    """False so many times."""
    answers = iter([False] * calls)
    return lambda: next(answers, True)


def test_several_processes_write_the_same(output: Output, tmp_path: Path) -> None:
    for workers in (1, 2):
        export(output.url, "coco", str(tmp_path / str(workers)), ALL, workers=workers)
    assert files(tmp_path / "1") == files(tmp_path / "2")


def test_errors_in_a_process_come_out_and_end_the_others(output: Output, tmp_path: Path) -> None:
    asked = replace(ALL, manifest=_moved(output, tmp_path))
    with pytest.raises(UnreadableVideo, match=r"video '.*': .*gone.* does not exist"):
        export(output.url, "cutouts", str(tmp_path / "to"), asked, workers=2)


def _moved(output: Output, folder: Path) -> str:
    """The manifest with videos that are not there."""
    rows = [json.loads(line) | {"video_uri": "gone"} for line in Path(output.manifest).read_text().splitlines()]
    (folder / "moved.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(folder / "moved.jsonl")


def test_any_store_will_do(output: Output, tmp_path: Path) -> None:
    export(output.url, "coco", "memory://exports/to", ALL, workers=1)
    export(output.url, "coco", str(tmp_path / "to"), ALL, workers=1)
    stored = Store("memory://exports/to").get("annotations/instances_default.json")
    assert stored == (tmp_path / "to/annotations/instances_default.json").read_bytes()


def test_a_folder_with_something_in_it_is_refused(output: Output, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InvalidOutput, match=r"is not empty \(it holds mine\.txt\): choose an empty or new folder"):
        exported(output, "coco", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_finished_export_is_refused(output: Output, tmp_path: Path) -> None:
    exported(output, "coco", tmp_path / "to")
    with pytest.raises(InvalidOutput, match="holds a finished export already: choose an empty or new folder"):
        exported(output, "coco", tmp_path / "to")


@pytest.mark.parametrize("change", [{"every": 2}, {"only": (FOLDER,)}, {"classes": True}])
def test_an_unfinished_export_of_something_else_is_refused(
    output: Output, tmp_path: Path, change: dict[str, object]
) -> None:
    asked = replace(ALL, manifest=output.manifest)
    with pytest.raises(KeyboardInterrupt):
        export(output.url, "coco", str(tmp_path / "to"), asked, workers=1, stop=_after(1))
    with pytest.raises(InvalidOutput, match="holds an unfinished export of something else"):
        exported(output, "coco", tmp_path / "to", manifest=output.manifest, **change)


def test_a_result_that_changed_since_is_another_export(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "out"))
    claim_output(store)
    for video_id in ("a", "b"):
        put_video(store, video_id, noisy())
    with pytest.raises(KeyboardInterrupt):
        export(store.url, "coco", str(tmp_path / "to"), ALL, workers=1, stop=_after(1))
    put_video(store, "c", noisy())
    with pytest.raises(InvalidOutput, match="unless OUTPUT has changed since"):
        export(store.url, "coco", str(tmp_path / "to"), ALL, workers=1)


def test_a_result_that_vanishes_is_named(output: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(str(tmp_path / "out"))
    claim_output(store)
    put_video(store, "v", noisy())

    def planned(*args: object) -> object:
        found = _plan(*args)  # type: ignore[arg-type]
        for path in (tmp_path / "out/masks").iterdir():
            path.unlink()
        return found

    _plan = exporting.plan
    monkeypatch.setattr(exporting, "plan", planned)
    with pytest.raises(InvalidOutput, match=r"video 'v': .*was replaced during the export: remove DEST and call again"):
        export(store.url, "coco", str(tmp_path / "to"), ALL, workers=1)


def test_only_some_videos(output: Output, tmp_path: Path) -> None:
    written = exported(output, "sa-v", tmp_path / "to", only=[FOLDER])
    assert (written.videos, set(files(tmp_path / "to"))) == (1, {f"{FOLDER}_manual.json"})


def test_an_unknown_video_is_refused_with_those_that_are_there(output: Output, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=f"--only: .* has no committed video nobody; it has {UNICODE}, {FOLDER}"):
        exported(output, "coco", tmp_path / "to", only=["nobody"])


def test_an_output_without_videos_is_refused(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "out"))
    claim_output(store)
    with pytest.raises(InvalidInput, match="has no committed video yet: `vos-batch segment` writes them"):
        exported(store.url, "coco", tmp_path / "to")


def test_a_folder_that_is_no_output_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidOutput, match="no vos-batch output"):
        exported(str(tmp_path), "coco", tmp_path / "to")


def test_an_unknown_format_is_refused_with_all_that_are_known(output: Output, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"unknown format 'coko'; did you mean 'coco'\? the formats are davis, .*hf"):
        exported(output, "coko", tmp_path / "to")


def test_every_second_frame(output: Output, tmp_path: Path) -> None:
    written = exported(output, "coco", tmp_path / "to", every=2)
    images = json.loads((tmp_path / "to/annotations/instances_default.json").read_text())["images"]
    # The second video begins with frame 2.
    assert [(one["file_name"], one["frame_index"], one["frame_id"]) for one in images] == [
        (f"{UNICODE}/00002.jpg", 2, 0),
        (f"{UNICODE}/00004.jpg", 4, 1),
        (f"{FOLDER}/8.png", 0, 0),
        (f"{FOLDER}/10.png", 2, 1),
        (f"{FOLDER}/12.png", 4, 2),
    ]
    assert written.frames == 5


@pytest.mark.parametrize(
    ("asked", "left", "left_out"),
    [({"min_score": 0.75}, 16, 2), ({"max_uncertainty": 0.05}, 10, 8), ({"min_score": 0.0}, 18, 0)],
)
def test_doubtful_masks_are_left_out(
    output: Output, tmp_path: Path, asked: dict[str, float], left: int, left_out: int
) -> None:
    written = exported(output, "coco", tmp_path / "to", **asked)
    assert len(json.loads((tmp_path / "to/annotations/instances_default.json").read_text())["annotations"]) == left
    assert (written.object_frames, written.left_out) == (left, left_out)


@pytest.mark.parametrize("name", TEXT)
def test_pictures_of_a_folder_are_copied_as_they_are(output: Output, tmp_path: Path, name: str) -> None:
    exported(output, name, tmp_path / "to", manifest=output.manifest, frames=Frames.COPY, only=[FOLDER], every=3)
    pictures = tmp_path / "to" / str(FORMATS[name].pictures) / FOLDER
    source = Path(output.manifest).parent / "pictures"
    assert {path.name: path.read_bytes() for path in pictures.iterdir()} == {
        name: (source / name).read_bytes() for name in ("8.png", "11.png")
    }


def test_pictures_of_a_folder_are_linked(output: Output, tmp_path: Path) -> None:
    exported(output, "davis", tmp_path / "to", manifest=output.manifest, frames=Frames.LINK, only=[FOLDER])
    link = tmp_path / f"to/JPEGImages/{FOLDER}/9.png"
    assert link.is_symlink()
    assert os.readlink(link) == str(Path(output.manifest).parent / "pictures/9.png")


def test_frames_of_a_file_cannot_be_linked(output: Output, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"file\.mp4 is no folder of pictures.*use --frames copy"):
        exported(output, "davis", tmp_path / "to", manifest=output.manifest, frames=Frames.LINK, only=[UNICODE])


def test_links_into_another_store_are_refused(output: Output) -> None:
    asked = replace(ALL, manifest=output.manifest, only=(FOLDER,))
    with pytest.raises(InvalidInput, match=r"cannot link .* at memory://.*: use --frames copy"):
        export(output.url, "davis", "memory://links/to", asked, frames=Frames.LINK, workers=1)


def test_frames_need_a_manifest(output: Output, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="name the manifest it was made of with --manifest"):
        exported(output, "davis", tmp_path / "to", frames=Frames.COPY)


def test_a_manifest_without_a_video_is_refused(output: Output, tmp_path: Path) -> None:
    first, *_ = Path(output.manifest).read_text().splitlines()
    (tmp_path / "short.jsonl").write_text(first)
    with pytest.raises(InvalidInput, match=rf"short\.jsonl has no row for {UNICODE}.*--only"):
        exported(output, "davis", tmp_path / "to", manifest=str(tmp_path / "short.jsonl"))


def test_classes_need_a_manifest(output: Output, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"--classes .*--manifest"):
        exported(output, "coco", tmp_path / "to", classes=True)


def test_classes_that_are_none_are_refused(output: Output, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in Path(output.manifest).read_text().splitlines()]
    wrong = [row | {"metadata": {"classes": {"1": 7}}} for row in rows]
    (tmp_path / "wrong.jsonl").write_text("".join(json.dumps(row) + "\n" for row in wrong))
    with pytest.raises(InvalidInput, match=r"row 2.*metadata\.classes must be like"):
        exported(output, "coco", tmp_path / "to", manifest=str(tmp_path / "wrong.jsonl"), classes=True)


def test_a_video_that_was_replaced_is_named(output: Output, tmp_path: Path) -> None:
    rows = [json.loads(line) | {"video_uri": f"{Path(output.manifest).parent}/file.mp4"}
            for line in Path(output.manifest).read_text().splitlines()]  # fmt: skip
    (tmp_path / "other.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InvalidInput, match=rf"video '{FOLDER}': .*frame 0 has another size than its masks"):
        exported(output, "cutouts", tmp_path / "to", manifest=str(tmp_path / "other.jsonl"))


def test_ids_that_are_no_file_names_get_safe_ones(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "out"))
    claim_output(store)
    for video_id in (SLASH, "..", "_hidden", "x" * 300, "plain id"):
        put_video(store, video_id, noisy())
    exported(store.url, "sa-v", tmp_path / "to")
    names = {f"{safe_name(video_id)}_manual.json" for video_id in (SLASH, "..", "_hidden", "x" * 300)}
    assert set(files(tmp_path / "to")) == names | {"plain id_manual.json"}


def test_ids_that_some_disks_take_for_one_are_refused(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "out"))
    claim_output(store)
    for video_id in ("Walk", "walk"):
        put_video(store, video_id, noisy())
    with pytest.raises(InvalidInput, match=r"'Walk' and 'walk' would have the same files.*--only"):
        exported(store.url, "sa-v", tmp_path / "to")


def test_only_losses_of_the_format_are_told(output: Output, tmp_path: Path) -> None:
    for name, one in FORMATS.items():
        written = exported(output, name, tmp_path / name, manifest=output.manifest, classes=True)
        assert written.lost.keys() <= one.lacks.keys()
        # Of all that can be lost in these two videos nothing is passed over.
        assert set(one.lacks) - {Loss.OVERLAP, Loss.LARGE_ID} == set(written.lost) - {Loss.LARGE_ID}


def test_frames_without_objects_are_there_too(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "out"))
    claim_output(store)
    put_video(store, "late", [{}, {}, *walk()[:1]])
    for name in (name for name, one in FORMATS.items() if not one.from_pictures):
        assert exported(store.url, name, tmp_path / name).frames == 3
    assert len(list((tmp_path / "davis/Annotations/late").iterdir())) == 3
    assert (tmp_path / "yolo-seg/labels/late/00000.txt").read_bytes() == b""
    (track, _) = json.loads((tmp_path / "youtube-vis/instances.json").read_text())["annotations"]
    assert [mask is None for mask in track["segmentations"]] == [True, True, False]
    assert pq.read_metadata(tmp_path / "hf/frames/00000.parquet").num_rows == 3
    assert np.array_equal(pq.read_table(tmp_path / "hf/masks")["frame_index"].unique().to_numpy(), [2])
