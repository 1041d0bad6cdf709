"""What the readers hand over: masks by video, frame as the format names it, and object, in one file."""

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

Found = Iterable[tuple[str, str, int, np.ndarray]]
"""Video, frame, object, mask [H, W]."""


def main(readers: dict[str, Callable[[Path], Found]]) -> None:
    """`python FILE READER FOLDER RESULT.npz`, in the environment of the library that reads."""
    name, folder, result = sys.argv[1:]
    found = {
        json.dumps([video, frame, int(object_id)]): np.asarray(mask, bool)
        for video, frame, object_id, mask in readers[name](Path(folder))
    }
    np.savez(result, **found)
