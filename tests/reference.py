"""Masks with the scores of the official evaluator. They lie beside the project, where somebody has put them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

_CLIPS = Path(__file__).parents[2] / "shared" / "clips"
REFERENCE = _CLIPS / "jf-reference"
# Where there are clips, these have to be among them.
needs_reference = pytest.mark.skipif(not _CLIPS.is_dir(), reason=f"no reference data: {_CLIPS} is absent")


def expected() -> dict[str, Any]:
    """J, F and more by set of masks and object."""
    loaded: dict[str, Any] = json.loads((REFERENCE / "expected.json").read_text())
    return loaded


def read_masks(folder: Path) -> list[NDArray[np.uint8]]:
    """In the order of their names."""
    return [np.asarray(Image.open(path)) for path in sorted(folder.iterdir())]
