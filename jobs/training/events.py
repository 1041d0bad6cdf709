"""TensorBoard events of a training: losses, learning rate, scores, and pictures of a video with what was found."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.training.reports import Learned
from jobs.training.validation import Score
from pipeline.storage.store import Store

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "events"
_LOCAL = "file://"


class Events:
    """Event files in `events/` of a store; they are complete there after `save`."""

    def __init__(self, writer: "SummaryWriter", folder: Path, store: Store) -> None:
        self._writer = writer
        self._folder = folder
        self._store = store

    def learned(self, report: Learned) -> None:
        """Write a step's losses and learning rate."""
        for name, value in vars(report.losses).items():
            self._writer.add_scalar(f"loss/{name}", value, report.step)
        self._writer.add_scalar("learning_rate", report.learning_rate, report.step)

    def scored(self, step: int, score: Score) -> None:
        """Write the scores and the picture of a validation."""
        for name, value in (("J_and_F", score.J_and_F), ("J", score.J), ("F", score.F)):
            self._writer.add_scalar(f"validation/{name}", value, step)
        self._writer.add_image("validation/video", score.sheet, step, dataformats="HWC")

    def save(self) -> None:
        """Bring what is written to the store."""
        self._writer.flush()
        if not _is_local(self._store):
            for file in self._folder.iterdir():
                self._store.put_file(f"{FOLDER}/{file.name}", file)


@contextmanager
def open_events(store: Store, step: int) -> Iterator[Events | None]:
    """Events for the time of the context; None where the package `tensorboard` is not installed.

    `step`: how many steps are done; what an earlier run wrote after it is hidden by TensorBoard.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        yield None
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(store.url_of(FOLDER).removeprefix(_LOCAL) if _is_local(store) else temporary)
        writer = SummaryWriter(str(folder), purge_step=step + 1)
        try:
            yield Events(writer, folder, store)
        finally:
            writer.close()


def _is_local(store: Store) -> bool:
    return store.url.startswith(_LOCAL)
