"""The categories of YouTube-VOS."""

import json
from pathlib import Path

import pytest

from jobs.datasets.youtube_vos import read_categories
from pipeline.errors import InvalidInput
from pipeline.storage.store import Store


def test_objects_have_a_category(tmp_path: Path) -> None:
    objects = {"4": {"category": "penguin", "frames": ["00000"]}, "2": {"category": "hat", "frames": ["00010"]}}
    (tmp_path / "meta.json").write_text(json.dumps({"videos": {"0a1b2c": {"objects": objects}, "bare": {}}}))
    assert read_categories(Store(str(tmp_path))) == {"0a1b2c": {"4": "penguin", "2": "hat"}, "bare": {}}


def test_there_may_be_no_such_file(tmp_path: Path) -> None:
    assert read_categories(Store(str(tmp_path))) == {}


@pytest.mark.parametrize(
    "content", ["[]", "[", "{}", '{"videos": {"a": 1}}', '{"videos": {"a": {"objects": {"1": {}}}}}']
)
def test_another_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "meta.json").write_text(content)
    with pytest.raises(InvalidInput, match=r"meta\.json is no list of YouTube-VOS categories .*: correct or remove it"):
        read_categories(Store(str(tmp_path)))
