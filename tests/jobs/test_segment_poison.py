"""Rows that would take all memory, wait for ever or open what they must not, among a hundred good ones."""

import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline.output import tables
from tests.pipeline.corpus import png, square_mask, write_rows
from tests.pipeline.input.pngs import bomb
from tests.pipeline.media import moving_square, write_frames, write_picture, write_video

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
GOOD = 100
SIZE = (32, 48)
FRAMES = moving_square(2, *SIZE)
WAIT_S = 300
ESCAPES = "\x1b]0;title\x07\x1b[2J\nfailed: another: it was me\r"
POISON: Mapping[str, tuple[Mapping[str, str], str]] = {
    "claims": ({"video_uri": "tag.mkv"}, ""),
    "claims of an index": ({"video_uri": "index.avi"}, ""),
    f"id {ESCAPES}": ({}, ""),
    "../../id that climbs": ({}, ""),
    "id" * 3000: ({}, ""),
    "mask bomb": ({"mask_uri": "bomb.png"}, "is 50000 x 60000, the video 48 x 32"),
    "endless mask": ({"mask_uri": "/dev/zero"}, "is a device, no regular file"),
    "endless local mask": ({"mask_uri": "local:///dev/zero"}, "is a device, no regular file"),
    "long mask": ({"mask_uri": "long.png"}, "has more than"),
    "waiting mask": ({"mask_uri": "fifo"}, "is a FIFO, no regular file"),
    "folder as mask": ({"mask_uri": "empty"}, "is a folder"),
    "frame bomb png": ({"video_uri": "bombs-png"}, "is 50000x60000, more than 67108864 pixels"),
    "frame bomb jpeg": ({"video_uri": "bombs-jpeg"}, "is 50000x60000, more than 67108864 pixels"),
    "later frame bomb": ({"video_uri": "bombs-later"}, "is 50000x60000, the first frame 48x32"),
    "chunk bomb": ({"video_uri": "chunks"}, "is not a whole picture"),
    "video bomb": ({"video_uri": "bomb.avi"}, "more than 67108864 pixels"),
    "container bomb": ({"video_uri": "container.avi"}, "more than 67108864 pixels"),
    "waiting video": ({"video_uri": "fifo"}, "is a FIFO, no regular file"),
    "waiting frames": ({"video_uri": "fifos"}, "is a FIFO, no regular file"),
    "endless video": ({"video_uri": "/dev/zero"}, "is a device, no regular file"),
    "socket": ({"video_uri": "socket"}, "is a socket, no regular file"),
    "folder as video": ({"video_uri": "empty"}, "has no .jpg"),
    "list of others": ({"video_uri": "list.mp4"}, "is not a video that can be read"),
    "link to itself": ({"video_uri": "loop"}, "does not exist"),
    "long name": ({"video_uri": "v" * 300 + ".mp4"}, "does not exist"),
    "name with escapes": ({"video_uri": f"{ESCAPES}.mp4"}, "does not exist"),
    "spaces": ({"video_uri": " .mp4 "}, "does not exist"),
    "ftp": ({"video_uri": "ftp://host.invalid/v.mp4"}, "no store is known for ftp://"),
    "chained": ({"video_uri": "simplecache::file:///etc/passwd"}, "no store is known for simplecache::file://"),
    "zip": ({"video_uri": "zip://v.mp4::/etc/passwd"}, "zip://v.mp4"),
    "no store": ({"video_uri": "nowhere://v.mp4"}, "no store is known for nowhere://"),
    "http": ({"video_uri": "http://127.0.0.1:PORT/0.mp4"}, "tells neither a version nor a time"),
    "http, not there": ({"video_uri": "http://127.0.0.1:PORT/gone.mp4"}, "does not exist"),
    "http, no port": ({"video_uri": "http://127.0.0.1:NaN/0.mp4"}, "names no server"),
}
"""By video_id: what is other than in a good row, and what is said of it; "" where it is done."""


class Run(NamedTuple):
    exit_code: int
    output: str
    peak_kb: int


def segment(manifest: Path, output: Path) -> Run:
    """The real command in a process of its own, with the memory that it took at most."""
    options = ["--device", "cpu", "--checkpoint", "untrained", "--min-side", "0"]
    command = [sys.executable, "-m", "jobs.segment", str(manifest), str(output), *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, text=True, cwd=ROOT, **pipes) as process:  # type: ignore[call-overload]
        watchdog = threading.Timer(WAIT_S, process.kill)
        watchdog.start()
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        watchdog.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
    return Run(process.returncode, said, usage.ru_maxrss)


def write_poison(folder: Path) -> None:
    write_video(folder / "tag.mkv", FRAMES, container_options={"write_crc32": "0"})
    replace(folder / "tag.mkv", b"00:00:00.08", b"99999999999")
    write_video(folder / "index.avi", FRAMES, codec="mpeg4")
    replace(folder / "index.avi", struct.pack("<I", 2), b"\xff\xff\xff\xff")
    (folder / "bomb.png").write_bytes(bomb("PNG", 60_000, 50_000))
    for kind in ("png", "jpeg"):
        (folder / f"bombs-{kind}").mkdir()
        (folder / f"bombs-{kind}" / f"0.{kind}").write_bytes(bomb(kind.upper(), 60_000, 50_000))
    write_frames(folder / "bombs-later", FRAMES, ".png")
    (folder / "bombs-later" / "1.png").write_bytes(bomb("PNG", 60_000, 50_000))
    write_frames(folder / "chunks", FRAMES, ".png")
    chunks = folder / "chunks" / "00000.png"
    chunks.write_bytes(chunks.read_bytes()[:33] + b"\x7f" + chunks.read_bytes()[34:])
    write_video(folder / "bomb.avi", FRAMES, codec="mjpeg", pix_fmt="yuvj420p")
    write_video(folder / "container.avi", FRAMES, codec="ffv1")
    replace(folder / "container.avi", struct.pack("<II", 48, 32), struct.pack("<II", 30_000, 30_000))
    replace(folder / "bomb.avi", struct.pack(">HH", 32, 48), struct.pack(">HH", 30_000, 30_000))
    with (folder / "long.png").open("wb") as file:
        file.write((folder / "0.png").read_bytes())
        file.truncate(1 << 40)
    os.mkfifo(folder / "fifo")
    (folder / "fifos").mkdir()
    os.mkfifo(folder / "fifos" / "0.png")
    (folder / "empty").mkdir()
    (folder / "loop").symlink_to("loop")
    (folder / "list.mp4").write_text("ffconcat version 1.0\nfile 0.mp4\n")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket"))


def replace(path: Path, old: bytes, new: bytes) -> None:
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    return folder


@pytest.fixture
def port(folder: Path) -> Iterator[int]:
    """Of an HTTP server of the folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Nothing."""


def test_a_hundred_good_videos_are_done_whatever_is_beside_them(folder: Path, port: int, tmp_path: Path) -> None:
    good: list[dict[str, Any]] = []
    for number in range(GOOD):
        write_video(folder / f"{number}.mp4", FRAMES)
        (folder / f"{number}.png").write_bytes(png(square_mask(FRAMES[0])))
        row = {"video_id": f"good {number}", "video_uri": f"{number}.mp4", "mask_uri": f"{number}.png", "mask_frame": 0}
        good.append(row)
    write_poison(folder)
    poison = [{**good[0], "video_id": name, **changes} for name, (changes, _) in POISON.items()]
    for row in poison:
        row["video_uri"] = row["video_uri"].replace("PORT", str(port))
    mixed = [*good[:50], *poison, *good[50:]]
    normal = segment(write_rows(folder / "good.jsonl", tuple(good)), tmp_path / "normal")
    assert normal.exit_code == 0, normal.output
    ran = segment(write_rows(folder / "mixed.jsonl", tuple(mixed)), tmp_path / "out")
    assert ran.exit_code == 3, ran.output
    done = tables.open(str(tmp_path / "out"), "videos").to_table().to_pylist()
    complete = {row["video_id"] for row in done if row["status"] == "complete"}
    assert complete >= {row["video_id"] for row in good}
    failures = tables.open(str(tmp_path / "out"), "failures").to_table().to_pylist()
    told = {row["video_id"]: row["message"] for row in failures}
    assert [row["video_id"] for row in failures if row["trace"]] == [] and "Traceback" not in ran.output
    for row in poison:
        name, said = row["video_id"], POISON[row["video_id"]][1]
        assert (name in complete) is (not said) and said in told.get(name, ""), (name, told.get(name))
    assert ran.peak_kb <= 2 * normal.peak_kb, (ran.peak_kb, normal.peak_kb)


def test_a_row_that_no_system_can_mean_is_refused_with_the_manifest(tmp_path: Path) -> None:
    mask = write_picture(tmp_path / "0.png", FRAMES[0])
    rows = [{"video_id": "a", "video_uri": "v\0.mp4", "mask_uri": mask.name, "mask_frame": 0}]
    ran = segment(write_rows(tmp_path / "m.jsonl", tuple(rows)), tmp_path / "out")
    assert ran.exit_code == 2
    assert "row 1: video_uri: " in ran.output and "v\\x00.mp4' holds a zero character" in ran.output
