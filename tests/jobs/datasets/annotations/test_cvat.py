"""CVAT for images 1.1 and for video 1.1 as their documentation shows them."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import InvalidInput
from pipeline.input.manifest import VideoTask
from tests.jobs.datasets.annotations.prompted import block, boxes_of, built, masks_of, pictures
from tests.pipeline.media import write_video

MASK = '<mask label="car" occluded="0" rle="1, 2, 1, 4" left="10" top="5" width="4" height="2" z_order="0"/>'
POLYGON = '<polygon label="Hündin" points="20.00,10.00;30.00,10.00;30.00,20.00;20.00,20.00" z_order="1"/>'
BOX = '<box label="car" xtl="1.0" ytl="20" xbr="9.5" ybr="26" z_order="0"/>'
ELLIPSE = '<ellipse label="car" cx="36" cy="24" rx="6" ry="4" rotation="90"/>'


def images(*shapes: str, name: str = "walk/1.png") -> str:
    found = f'<image id="7" name="{name}" width="45" height="31">{"".join(shapes)}</image>'
    empty = '<image id="6" name="walk/0.png" width="45" height="31"></image>'
    return f'<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>{empty}{found}</annotations>'


def video(*tracks: str, source: str = "street.mp4", size: str = "<width>45</width><height>31</height>") -> str:
    meta = f"<task><mode>interpolation</mode><original_size>{size}</original_size></task><source>{source}</source>"
    return f"<annotations><version>1.1</version><meta>{meta}</meta>{''.join(tracks)}</annotations>"


def dataset(folder: Path, text: str) -> Path:
    pictures(folder / "images", "walk/0.png", "walk/1.png")
    (folder / "annotations.xml").write_text(text)
    return folder


def read(folder: Path, *shapes: str) -> list[VideoTask]:
    return built("cvat", dataset(folder, images(*shapes)), folder)


def test_masks_polygons_boxes_and_ellipses(tmp_path: Path) -> None:
    tasks = read(tmp_path, MASK, POLYGON, BOX, ELLIPSE, '<tag label="car"/>')
    masks = masks_of(tasks)
    assert np.argwhere(masks["walk", 1, 1]).tolist() == [[5, 11], [5, 12], *([6, x] for x in range(10, 14))]
    assert np.array_equal(masks["walk", 1, 2], block(10, 20, 20, 30))
    assert boxes_of(tasks) == {("walk", 1, 3): [1, 20, 8.5, 6]}
    ys, xs = np.nonzero(masks["walk", 1, 4])
    assert (ys.min(), ys.max(), xs.min(), xs.max()) == (18, 29, 32, 39)  # turned by 90 degrees
    assert tasks[0].metadata == {"classes": {"1": "car", "2": "Hündin", "3": "car", "4": "car"}}


def test_a_turned_box_is_a_polygon(tmp_path: Path) -> None:
    (task,) = read(tmp_path, BOX.replace("z_order", 'rotation="90.0" z_order').replace('xtl="1.0"', 'xtl="11.0"')
                   .replace('xbr="9.5"', 'xbr="19"'))  # fmt: skip
    assert np.array_equal(masks_of([task])["walk", 1, 1], block(19, 12, 27, 18))


def test_parts_of_a_group_are_one_object(tmp_path: Path) -> None:
    parts = [one.replace("label=", 'group_id="4" label=') for one in (MASK, POLYGON)]
    (task,) = read(tmp_path, *parts, BOX.replace("label=", 'group_id="0" label='))
    assert [(one.object_id, one.kind) for one in task.prompts[0].objects] == [(1, "rle"), (2, "box")]
    assert masks_of([task])["walk", 1, 1].sum() == 6 + 100


def test_the_attribute_track_id_is_the_id(tmp_path: Path) -> None:
    shape = POLYGON.replace("/>", '><attribute name="track_id"> 300 </attribute></polygon>')
    assert set(masks_of(read(tmp_path, shape))) == {("walk", 1, 300)}


def test_tracks_of_a_video(tmp_path: Path) -> None:
    def boxes(*frames: tuple[int, int, int]) -> str:
        return "".join(
            f'<box frame="{t}" outside="{out}" keyframe="{key}" xtl="{t}" ytl="2" xbr="9" ybr="9"/>'
            for t, key, out in frames
        )

    write_video(tmp_path / "street.mp4", [np.full((32, 46, 3), 90, np.uint8)] * 6)
    first = f'<track id="0" label="car">{boxes((1, 1, 0), (2, 0, 0), (3, 1, 0), (4, 1, 1))}</track>'
    second = f'<track id="1" label="Hündin">{boxes((2, 1, 1), (3, 1, 0))}</track>'
    third = '<track id="2" label="car"><points frame="0" outside="0" keyframe="1" points="1,1"/></track>'
    (tmp_path / "annotations.xml").write_text(video(first, second, third))
    notes: list[str] = []
    (task,) = built("cvat", tmp_path, tmp_path, tell=notes.append)
    assert (task.video_id, task.video_uri) == ("street", f"file://{tmp_path}/street.mp4")
    assert boxes_of([task]) == {("street", 1, 1): [1, 2, 8, 7], ("street", 3, 2): [3, 2, 6, 7]}
    assert task.metadata == {"classes": {"1": "car", "2": "Hündin"}, "tracks": {"1": "0", "2": "1"}}
    assert notes == ["left out: 1 shapes without an area (points)"]
    (task,) = built("cvat", tmp_path, tmp_path, prompts="all")
    assert [prompt.frame_index for prompt in task.prompts] == [1, 3]


def test_frames_of_a_track_may_be_pictures(tmp_path: Path) -> None:
    mask = '<mask frame="1" outside="0" keyframe="1" rle="0, 8" left="3" top="4" width="4" height="2"/>'
    track = f'<track id="4" label="a">{mask}</track>'
    pictures(tmp_path / "images", "frame_000000.PNG", "frame_000001.PNG")
    (tmp_path / "annotations.xml").write_text(video(track))
    (task,) = built("cvat", tmp_path, tmp_path)
    assert (task.num_frames, task.video_uri) == (2, f"file://{tmp_path}/images")
    assert np.array_equal(masks_of([task])["street", 1, 4], block(4, 3, 6, 7))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (MASK.replace("1, 2, 1, 4", "1, 2"), r"annotations\.xml: image 7 \(1\.png\), mask 1: the run lengths.*4 x 2"),
        (MASK.replace("1, 2, 1, 4", "1, -2, 3, 6"), "mask 1: the run lengths"),
        (MASK.replace('left="10"', 'left="43"'), "mask 1: the mask reaches to 47, 7, its picture has 45 x 31"),
        (MASK.replace('top="5"', ""), "mask 1: top is ''; give a whole number from 0 on"),
        (POLYGON.replace(";30.00,20.00;20.00,20.00", ""), "polygon 1: polygons.* has 2 points"),
        (POLYGON.replace("30.00", "x"), "polygon 1: a point is 'x', no number"),
        (BOX.replace('xtl="1.0"', ""), "box 1: xtl of <box> is '', no number"),
        (BOX.replace("9.5", "1.0"), "box 1: box .*width 0"),
        (BOX.replace("9.5", "900"), "box 1: its box .*beyond the picture"),
    ],
)
def test_bad_shapes_are_named(tmp_path: Path, shape: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read(tmp_path, shape)


BOMB = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;">]><annotations>&c;</annotations>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><annotations>&b;</annotations>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotations>", r"annotations\.xml: is no XML"),
        ('{"images": []}', "is no XML"),
        ("<annotation><filename/></annotation>", "is <annotation>, not the XML file of CVAT"),
        (BOMB, r"annotations\.xml: has a DOCTYPE"),
        (OUTSIDE, "has a DOCTYPE"),
        (images(BOX, name="../1.png"), "image 7: the picture .* is not below the images"),
        (images(), "no object is drawn on any picture"),
        (images(BOX).replace('width="45"', ""), r"image 6: width is ''; give a whole number"),
        (video('<track id="0"><box frame="x" xtl="1" ytl="1" xbr="2" ybr="2"/></track>'), "track 0, frame x: frame is"),
        (video('<track id="0"><box frame="1"/></track>', size=""), "original_size has no width and height"),
        (video('<track id="0"><box frame="1" xtl="1" ytl="1" xbr="2" ybr="2"/></track>'), r"no video file.*--images"),
    ],
)
def test_files_that_are_no_cvat_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "annotations.xml").write_text(text)
    with pytest.raises(InvalidInput, match=message):
        built("cvat", tmp_path, tmp_path)
