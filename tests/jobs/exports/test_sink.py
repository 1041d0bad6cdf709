import subprocess
import sys
from pathlib import Path

from jobs.exports.parts import Parts
from jobs.exports.sink import sink_of
from pipeline.storage.store import Store

TIDY_UP = [sys.executable, "-c", "from pipeline.scratch import Scratch; Scratch().remove()"]
"""Another process, which removes what killed ones left."""


def test_files_in_the_making_are_not_taken_for_those_of_a_killed_process(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "to"))
    with sink_of(store, 1) as sink:
        subprocess.run(TIDY_UP, check=True)
        sink.part("masks").add("1")
    with Parts(store).file("all") as file:
        subprocess.run(TIDY_UP, check=True)
        file.write(b"1")
    assert store.get("all") == b"1"
