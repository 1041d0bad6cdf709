"""Data scripts of a report, read as Python."""

import json
from pathlib import Path
from typing import Any


def values(script: bytes) -> list[Any]:
    """What a data script calls its function with."""
    text = script.decode("ascii")
    return json.loads(f"[{text[text.index('(') + 1 : text.rindex(')')]}]")


def summary(folder: Path) -> dict[str, Any]:
    (found,) = values((folder / "data/summary.js").read_bytes())
    return found


def video(folder: Path, video_id: str) -> dict[str, Any]:
    """The data of one video's page."""
    columns = summary(folder)["videos"]
    file = columns["file"][columns["id"].index(video_id)]
    name, found = values((folder / f"data/videos/{file}.js").read_bytes())
    assert name == file
    return found
